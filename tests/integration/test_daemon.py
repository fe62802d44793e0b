import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from configs.errors import DatabaseRefused, DatabaseUnavailable, WrongState
from launcher.host.machine import memory_mb, this_host
from launcher.service.claimer import Claimer
from launcher.service.metrics import Metrics
from launcher.service.registration import Registration
from launcher.service.slots import Slots
from launcher.service.spare import Spare
from launcher.service.supervisor import Outcome, Supervisor
from storage import servers
from storage.columns import utc_now
from tests.proxy import proxied
from tests.runs import NOWHERE, QUICK, Runs, in_thread, scheduler_away
from tests.waiting import alive, until


def test_it_runs_as_many_at_once_as_it_has_slots(runs):
    runs.settings = runs.settings.model_copy(update={"poll_seconds": 600.0})  # one look for all
    batch_ids = [runs.add() for _ in range(3)]
    with in_thread(runs.daemon("hang", slots=2)):
        until(lambda: runs.states_of(*batch_ids) == ["U", "U", "I"])
        runs.pid("B")
    owners = [runs.attempts(batch_id)[0].identity for batch_id in batch_ids[:2]]
    assert [owner.rpartition(":")[2] for owner in owners] == ["0", "1"]

    assert runs.states_of(*batch_ids) == ["I"] * 3


def test_a_batch_that_gets_no_thread_is_given_back_and_its_slot_is_free(runs, monkeypatch):
    batch_id = runs.add()
    refused = []

    def start(thread, start=threading.Thread.start):
        if thread.name.startswith("batch-") and len(refused) < 2:
            refused.append((runs.row(batch_id).state, runs.row(batch_id).attempt))
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with in_thread(runs.daemon("succeed")):
        until(lambda: runs.states_of(batch_id) == ["C"])

    assert refused == [("U", 1)] * 2
    assert runs.outcomes(batch_id) == [("I", None), ("I", None), ("C", None)]


def test_a_poisonous_batch_is_given_up_after_its_attempts(runs):
    batch_id = runs.add()

    assert runs.daemon("suicide", drain=True).run() == 0
    assert runs.row(batch_id).run_after is None
    assert runs.outcomes(batch_id) == [("E", "ChildLost")] * 3


def test_a_launcher_serves_its_queues_in_order_and_no_others(runs):
    usual, urgent, night = runs.add(), runs.add(queue="urgent"), runs.add(queue="night")

    assert runs.daemon("succeed", drain=True, queues=("urgent", "default")).run() == 0
    assert runs.states_of(usual, urgent, night) == ["C", "C", "I"]
    assert runs.row(urgent).work_date < runs.row(usual).work_date


def test_memory_that_a_running_batch_asked_for_is_not_offered_twice(runs):
    most = memory_mb()
    batch_ids = [runs.add(need_mem_mb=most * 11 // 20) for _ in range(2)]
    small = runs.add(need_mem_mb=1)
    with in_thread(runs.daemon("hang", slots=3)):
        until(lambda: runs.states_of(*batch_ids, small) == ["U", "I", "U"])
        seen = runs.servers()["B"].last_seen
        until(lambda: runs.servers()["B"].last_seen > seen)

        assert runs.states_of(*batch_ids, small) == ["U", "I", "U"]


def test_a_paused_server_claims_nothing(runs):
    batch_id = runs.add()
    runs(servers.pause, "B")
    with in_thread(runs.daemon("succeed")):
        seen = until(lambda: runs.servers()["B"].last_seen)
        until(lambda: runs.servers()["B"].last_seen > seen)
        assert runs.states_of(batch_id) == ["I"]

        runs(servers.resume, "B")
        until(lambda: runs.states_of(batch_id) == ["C"])


def test_a_launcher_tells_how_much_memory_it_has_now(runs, monkeypatch):
    with in_thread(runs.daemon("succeed")):
        until(lambda: [each.memory_mb for each in runs.servers().values()] == [memory_mb()])
        monkeypatch.setattr("launcher.service.registration.most_memory_mb", lambda: 7)
        assert until(lambda: runs.servers()["B"].memory_mb == 7)


def test_operators_see_the_launcher_while_it_lives(runs):
    with in_thread(runs.daemon("succeed", slots=2, tags=("gpu",), queues=("밤", "default"))):
        server = until(lambda: runs.servers().get("B"))

    here = this_host()
    assert server.identity == here.identity
    assert (server.slots, server.tags, server.pid) == (2, ("gpu",), os.getpid())
    assert (server.host, server.version, server.gpus) == (here.name, here.version, here.gpus)
    assert server.queues == ("밤", "default")
    assert runs.servers() == {}


def test_a_launcher_whose_row_was_deleted_comes_back(runs):
    with in_thread(runs.daemon("succeed", slots=2)):
        until(lambda: runs.servers().get("B"))
        runs.sql("DELETE FROM dc_server")
        server = until(lambda: runs.servers().get("B"))

    assert (server.slots, server.pid) == (2, os.getpid())


def test_a_launcher_says_when_another_runs_under_its_id(runs):
    theirs = "elsewhere:7:boot"
    with capture_logs() as logged, in_thread(runs.daemon("succeed")):
        until(lambda: runs.servers().get("B"))
        runs.sql("UPDATE dc_server SET identity = :theirs, pid = 7", theirs=theirs)
        batch_ids = [runs.add() for _ in range(3)]
        until(lambda: runs.states_of(*batch_ids) == ["C"] * 3)
        until(lambda: any(e.get("there") == theirs for e in logged))

    assert sum("under the same id" in event["event"] for event in logged) == 1
    assert runs.servers()["B"].pid == 7


def test_a_launcher_that_cannot_take_its_row_away_leaves_all_the_same(runs, monkeypatch):
    def refused(*_):
        raise DatabaseRefused

    monkeypatch.setattr(servers, "remove", refused)
    with capture_logs() as said:
        assert runs.daemon("succeed", drain=True).run() == 0
    assert "could not take itself off" in str(said)


def test_a_second_launcher_under_an_id_is_refused_until_the_first_is_dead(runs):
    with runs.launcher("hang") as launcher:
        until(lambda: runs.servers().get("L"))
        with pytest.raises(WrongState, match=f"launcher L runs .* as process {launcher.pid}; stop"):
            runs.daemon("succeed", server_id="L").run()
        assert runs.servers()["L"].pid == launcher.pid
        launcher.kill()
        launcher.wait()

        assert runs.servers()["L"].pid == launcher.pid
        assert runs.daemon("succeed", server_id="L", drain=True).run() == 0


def test_a_process_that_took_the_number_of_a_dead_launcher_is_none(runs):
    with subprocess.Popen(["sleep", "60"]) as other:
        dead = this_host().identity.replace(f":{os.getpid()}:", f":{other.pid}:")
        runs.register("B", identity=dead, pid=other.pid)

        assert runs.daemon("succeed", drain=True).run() == 0
        other.kill()


def test_a_launcher_of_another_host_with_the_number_of_one_here_is_not_taken_for_it(runs):
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)", "B"]
    with subprocess.Popen(sleeps) as neighbour:
        there = f"elsewhere:{neighbour.pid}:{UUID(int=0)}.1"
        runs.register("B", identity=there, pid=neighbour.pid)

        assert runs.daemon("succeed", drain=True).run() == 0
        neighbour.kill()


def test_what_waited_for_another_batch_is_claimed_at_once_however_seldom_a_launcher_looks(runs):
    runs.settings = runs.settings.model_copy(update={"poll_seconds": 600.0})
    first, second = runs.add(), runs.add(mode="predict")
    runs.change(second, train_batch_id=first)
    with in_thread(runs.daemon("succeed:0.2", slots=2)):
        until(lambda: runs.states_of(first, second) == ["C", "C"])


def test_a_launcher_that_is_told_to_stop_claims_nothing_more(runs):
    first = runs.add()
    daemon = runs.daemon("succeed:1", slots=2)
    with in_thread(daemon) as codes:
        runs.pid("B")
        daemon.stop()
        second = runs.add()
        until(lambda: codes == [0], 20)

    assert runs.states_of(first, second) == ["C", "I"]


def test_an_idle_launcher_stops_at_once(runs):
    runs.settings = runs.settings.model_copy(update={"lease_seconds": 120, "poll_seconds": 60})
    with in_thread(runs.daemon("succeed")):
        until(lambda: runs.servers().get("B"))
        told = time.monotonic()

    assert time.monotonic() - told < 5


def test_a_cluster_that_nobody_needs_is_closed(runs, monkeypatch):
    monkeypatch.setattr("launcher.service.slots._REST_SECONDS", 0.2)
    cluster = Noted()
    batch_id = runs.add()
    with in_thread(runs.daemon("succeed", cluster=cluster)):
        until(lambda: runs.states_of(batch_id) == ["C"])
        assert cluster.asked
        until(lambda: cluster.closed)


def test_a_batch_that_runs_keeps_its_cluster_and_no_spare_is_made_ready(runs, monkeypatch):
    now, ends, cluster = [0.0], SimpleQueue(), Noted()
    monkeypatch.setattr("launcher.service.slots.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Supervisor, "run", lambda _: ends.get())
    prepared = []
    monkeypatch.setattr(Spare, "prepare", lambda _: prepared.append(1))
    slots = Slots(2, engine=runs.engine, settings=runs.settings, cluster=cluster, command=[])
    for seconds in (100, 50):
        runs.add()
        slots.start(runs.claim(), time.monotonic() - seconds, None)

    assert slots.heartbeat_age() >= 100
    slots.prepare()
    assert prepared == []
    now[0] = 1000.0
    for outcome in (Outcome("E", stale=True), Outcome("C", stale=False)):
        slots.rest()
        ends.put(outcome)
        assert slots.wait(20) == outcome
    slots.rest()
    slots.prepare()
    assert (cluster.closed, len(prepared), slots.heartbeat_age()) == (0, 1, 0)
    now[0] += 601
    slots.rest()
    assert cluster.closed == 1


def test_slots_that_are_closed_give_back_what_runs(runs):
    command = runs.command("hang")
    slots = Slots(1, engine=runs.engine, settings=runs.settings, cluster=NOWHERE, command=command)
    batch_id = runs.add()
    slots.start(runs.claim(), time.monotonic(), None)
    slots.close()

    assert runs.states_of(batch_id) == ["I"]


class Noted:
    """A cluster elsewhere, which notes what is asked of it."""

    asked = closed = 0

    def scheduler(self):
        self.asked += 1
        return NOWHERE.scheduler()

    def answers(self):
        return True

    def close(self):
        self.closed += 1


def test_a_batch_whose_supervisor_fails_is_lost_and_its_slot_is_free(runs, monkeypatch):
    def fail(_):
        raise RuntimeError("a fault of ours")

    metrics, cluster = Metrics(), Noted()
    batch_ids = [runs.add()]
    monkeypatch.setattr(Supervisor, "run", fail)
    with in_thread(runs.daemon("succeed", metrics=metrics, cluster=cluster)):
        until(lambda: metrics.registry.get_sample_value("deepcredit_lease_losses_total"))
        assert cluster.closed
        monkeypatch.undo()
        batch_ids.append(runs.add())
        until(lambda: runs.states_of(*batch_ids) == ["C", "C"])


def test_workers_busy_with_a_cancelled_batch_are_replaced(runs):
    cluster = Noted()
    batch_id = runs.add()
    with in_thread(runs.daemon("hang", cluster=cluster)):
        runs.pid("B")
        runs.change(batch_id, cancel_requested_at=utc_now())
        until(lambda: runs.states_of(batch_id) == ["E"])
        until(lambda: cluster.closed)

    assert runs.row(batch_id).error_class == "Cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_a_batch_finish_within_the_grace_time(runs, number, request):
    # Under nohup SIGHUP is ignored, which the launcher would inherit, and heed.
    request.addfinalizer(partial(signal.signal, number, signal.signal(number, signal.SIG_DFL)))
    first, second = runs.add(), runs.add()
    with runs.launcher("succeed:1") as launcher:
        runs.pid("L")
        launcher.send_signal(number)

        assert launcher.wait(20) == 0
    assert runs.states_of(first, second) == ["C", "I"]
    assert runs.events()[-1]["event"] == "launcher stopped"


def test_a_claim_in_doubt_is_given_back_when_the_launcher_is_told_to_stop(
    runs, mariadb_server, monkeypatch
):
    batch_id = runs.add()
    with proxied(mariadb_server.port) as proxy:
        daemon = Runs(proxy.before(runs.settings), runs.folder).daemon("succeed")

        def lose_answer(claimer, slot, batch_id, claim=Claimer._claim):
            proxy.lose_answer_to(b"COMMIT")
            daemon.stop()
            return claim(claimer, slot, batch_id)

        monkeypatch.setattr(Claimer, "_claim", lose_answer)
        assert daemon.run() == 0

    assert proxy.answer_was_lost
    row = runs.row(batch_id)
    assert (row.state, row.attempt, row.fence) == ("I", 0, 1)
    assert runs.outcomes(batch_id) == [("I", None)]


def test_after_the_grace_time_the_batch_is_given_back(runs):
    runs.settings = runs.settings.model_copy(update={"grace_seconds": 0.3})
    batch_id = runs.add()
    with runs.launcher("hang") as launcher:
        pid = runs.pid("L")
        launcher.send_signal(signal.SIGTERM)

        assert launcher.wait(20) == 0
    row = runs.row(batch_id)
    assert (row.state, row.attempt) == ("I", 0)
    assert not alive(pid)


def test_the_grace_time_ends_when_a_launcher_has_nothing_else_to_do_for_long(runs, monkeypatch):
    monkeypatch.setattr("launcher.service.daemon.interval_of", lambda _lease: 3600.0)
    runs.settings = runs.settings.model_copy(update={"grace_seconds": 0.3})
    batch_id = runs.add()
    daemon = runs.daemon("hang")
    with in_thread(daemon) as codes:
        runs.pid("B")
        daemon.stop()
        until(lambda: codes == [0], 20)

    assert runs.states_of(batch_id) == ["I"]


def test_a_second_signal_stops_at_once(runs):
    batch_id = runs.add()
    with runs.launcher("hang") as launcher:
        pid = runs.pid("L")
        launcher.send_signal(signal.SIGTERM)
        (told,) = until(lambda: [e for e in runs.events() if e.get("how") == "draining"])
        assert told["next"] == "what runs has 20 s to finish; a second signal stops it at once"
        assert alive(pid)
        launcher.send_signal(signal.SIGINT)

        assert launcher.wait(10) == 0
    row = runs.row(batch_id)
    assert (row.state, row.attempt) == ("I", 0)
    assert not alive(pid)


def test_a_child_dies_with_its_launcher_and_another_completes_the_batch(runs):
    batch_id = runs.add()
    with runs.launcher("hang") as launcher:
        pid = runs.pid("L")
        launcher.kill()
        killed = time.monotonic()
        until(lambda: not alive(pid), seconds=5)
        assert runs.daemon("succeed", drain=True).run() == 0

    # The lease, a sweep, and starting a child on a machine that may be very busy.
    assert time.monotonic() - killed < 1.6 + 0.2 + 20
    assert runs.states_of(batch_id) == ["C"]
    assert runs.outcomes(batch_id) == [("E", "LeaseExpired"), ("C", None)]


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
def test_a_launcher_that_is_started_again_takes_up_at_once_what_it_had(request, tmp_path, engine):
    settings = request.getfixturevalue(f"{engine}_settings")
    runs = Runs(settings.model_copy(update=QUICK | {"lease_seconds": 600}), tmp_path)
    batch_id = runs.add()
    with runs.launcher("lingering") as launcher:
        lingering = runs.pid("L")
        launcher.kill()  # nobody has waited for it: a zombie is dead, too
        killed = time.monotonic()
        try:
            with runs.launcher("succeed:1") as again:
                until(lambda: runs.row(batch_id).fence == 3)
                assert alive(lingering)
                runs.tell("L")
                accepted = tmp_path / "L.accepted"
                until(lambda: accepted.exists() and accepted.read_text())
                assert again.poll() is None
                until(lambda: runs.states_of(batch_id) == ["C"])
        finally:
            with suppress(ProcessLookupError):
                os.kill(lingering, signal.SIGKILL)

    assert accepted.read_text() == "False"
    assert time.monotonic() - killed < 60
    row = runs.row(batch_id)
    assert (row.fence, row.attempt, row.progress_note) == (3, 2, "fence 3")
    assert runs.outcomes(batch_id) == [("E", "LeaseExpired"), ("C", None)]
    assert runs.attempts(batch_id)[1].error_text == "L stopped renewing its lease"
    runs.engine.dispose()


def test_a_launcher_that_starts_leaves_what_may_be_run_by_others(runs):
    """Of its own id: on other hosts, in other containers, before the host was switched on."""
    with subprocess.Popen(["sleep", "60"]) as dead, subprocess.Popen(["sleep", "60"]) as living:
        dead.kill()
        host, _, boot = this_host().identity.split(":")
        other_boot = f"{UUID(int=0)}.{boot.partition('.')[2]}"
        held = {
            identity: runs.add()
            for identity in (
                f"{host}:{dead.pid}:{boot}:0",
                f"{host}:{os.getpid()}:{boot}:7",  # a number that has come again
                f"{host}:{dead.pid}:{boot.partition('.')[0]}.1:0",
                f"{host}:{dead.pid}:{other_boot}:0",
                f"{host}:{living.pid}:{boot}:0",
                "written by hand",
            )
        }
        for identity, batch_id in held.items():
            runs.claim("B", lease=600, batch_id=batch_id, identity=identity)
        others = runs.add()
        runs.claim("C", lease=600, batch_id=others, identity=next(iter(held)))
        by_hand = runs.add(state="U", serve_server_id="B", lease_until=utc_now(600))
        with in_thread(runs.daemon("succeed")):
            taken, ours, *left = held.values()
            until(lambda: runs.states_of(taken, ours) == ["C", "C"])
        living.kill()

    assert runs.states_of(*left, others, by_hand) == ["U"] * 6


def test_what_a_launcher_had_is_cancelled_or_given_up_as_by_a_sweep(runs):
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    host, _, boot = this_host().identity.split(":")
    cancelled, last = runs.add(), runs.add(max_attempts=1)
    for batch_id in (cancelled, last):
        runs.claim("B", lease=600, batch_id=batch_id, identity=f"{host}:{dead.pid}:{boot}:0")
    runs.change(cancelled, cancel_requested_at=utc_now())

    assert runs.daemon("succeed", drain=True).run() == 0
    assert runs.outcomes(cancelled) == [("E", "Cancelled")]
    assert runs.outcomes(last) == [("E", "LeaseExpired")]
    assert [runs.row(each).run_after for each in (cancelled, last)] == [None, None]


def test_a_launcher_that_slept_longer_than_its_lease_publishes_nothing(runs):
    batch_id = runs.add()
    with runs.launcher("succeed:0.5") as zombie:
        runs.pid("L")
        zombie.send_signal(signal.SIGSTOP)
        assert runs.daemon("succeed", drain=True).run() == 0
        row = runs.row(batch_id)
        zombie.send_signal(signal.SIGCONT)
        ended = until(lambda: [e for e in runs.events() if e["event"] == "batch ended"])

        assert zombie.poll() is None
    assert ended[0]["outcome"] == "lost"
    assert runs.row(batch_id) == row
    assert (row.state, row.fence, row.serve_server_id) == ("C", 3, "B")
    assert runs.outcomes(batch_id) == [("E", "LeaseExpired"), ("C", None)]


def test_a_start_that_an_outage_interrupts_leaves_nothing_out(runs, monkeypatch):
    reap, tries = Registration.reap, []

    def interrupted(registration):
        tries.append(registration)
        if len(tries) == 1:
            raise DatabaseUnavailable("away")
        return reap(registration)

    monkeypatch.setattr(Registration, "reap", interrupted)
    assert runs.daemon("succeed", drain=True).run() == 0
    assert len(tries) == 2


def test_a_launcher_lives_through_an_outage_and_says_so_once(runs, mariadb_server):
    with proxied(mariadb_server.port) as proxy:
        runs.settings = proxy.before(runs.settings)
        proxy.cut()
        with runs.launcher("succeed") as launcher:
            until(lambda: any("cannot be used" in e["event"] for e in runs.events()))
            proxy.restore()
            until(lambda: any(e["event"] == "launcher started" for e in runs.events()))
            proxy.cut()
            until(lambda: sum("cannot be used" in e["event"] for e in runs.events()) == 2)
            batch_id = runs.add()
            time.sleep(1.5)
            proxy.restore()
            until(lambda: runs.states_of(batch_id) == ["C"])
            until(lambda: runs.said("the database answers again") == 2)
            assert launcher.poll() is None
    assert runs.said("the database cannot be used; trying on") == 2


def test_an_idle_launcher_leaves_database_and_processor_alone(runs, mariadb_server):
    # Ten times as fast as by default, so that 4 s say what 40 s would.
    runs.settings = runs.settings.model_copy(update={"lease_seconds": 12, "poll_seconds": 0.2})
    with runs.launcher("succeed") as launcher, mariadb_server.connect() as connection:
        until(lambda: runs.servers().get("L"))
        first = runs.servers()["L"].last_seen
        until(lambda: runs.servers()["L"].last_seen > first)  # so that it has all its connections
        cursor = connection.cursor()
        begin, busy = questions(cursor), processor_seconds(launcher.pid)
        time.sleep(4)
        asked, busy = questions(cursor) - begin - 1, processor_seconds(launcher.pid) - busy
        memory = resident_mb(launcher.pid)

    assert asked <= 40
    assert busy <= 0.4
    assert memory < 120


def questions(cursor):
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(cursor.fetchone()[1])


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_the_log_names_what_it_runs(runs):
    batch_id = runs.add(batch_desc="한글")
    with runs.launcher("succeed", DRAIN="1") as launcher:
        assert launcher.wait(20) == 0

    [summary] = [event for event in runs.events() if event["event"] == "batch ended"]
    assert (summary["batch_id"], summary["outcome"], summary["mode"]) == (batch_id, "C", "train")


@pytest.mark.parametrize(("drain", "pause"), [(True, "_NEWS_DRAINING"), (False, "_NEWS_SERVING")])
def test_the_log_says_how_far_a_batch_is(runs, monkeypatch, drain, pause):
    monkeypatch.setattr(f"launcher.service.polling.{pause}", 0.0)
    batch_id = runs.add()
    with capture_logs() as said, in_thread(runs.daemon("succeed", drain=drain)):
        until(lambda: runs.states_of(batch_id) == ["C"])

    (line,) = [each for each in said if each["event"] == "batch goes on"]
    assert (line["batch_id"], line["done"], line["note"]) == (batch_id, "25%", "1 of 4 모델")


def test_a_scheduler_that_is_away_costs_no_attempts_and_nothing_more_is_claimed(runs):
    batch_ids = [runs.add() for _ in range(3)]
    with (
        scheduler_away() as (listener, cluster),
        capture_logs() as said,
        in_thread(runs.daemon("needs-cluster", cluster=cluster)),
    ):
        until(lambda: "cannot be used" in str(said))
        assert runs.states_of(*batch_ids) == ["I"] * 3
        # The launcher looks again after one second or two.
        listener.listen()
        until(lambda: runs.states_of(*batch_ids) == ["C"] * 3)

    assert [runs.row(batch_id).attempt for batch_id in batch_ids] == [1] * 3
    assert runs.outcomes(batch_ids[0]) == [("I", "ClusterAway"), ("C", None)]
    assert [runs.outcomes(batch_id) for batch_id in batch_ids[1:]] == [[("C", None)]] * 2
    assert [event["event"] for event in said if "can begin" in event["event"]] == [
        "no batch can begin; claiming nothing for now",
        "trying again whether a batch can begin",
    ]


@pytest.mark.parametrize("command", [["/nowhere/python"], [sys.executable, "-c", "import nothing"]])
def test_a_host_that_starts_no_process_leaves_the_queue_to_others_and_tries_again(runs, command):
    batch_ids, given_back = [runs.add() for _ in range(10)], ("I", "StartFailed")
    with capture_logs() as said:
        with in_thread(runs.daemon("", server_id="A", command=command)):
            until(lambda: runs.outcomes(batch_ids[0])[:2] == [given_back] * 2)
        with in_thread(runs.daemon("succeed")):
            until(lambda: runs.states_of(*batch_ids) == ["C"] * 10)

    assert set(runs.outcomes(batch_ids[0])[:-1]) == {given_back}
    assert [runs.outcomes(batch_id) for batch_id in batch_ids[1:]] == [[("C", None)]] * 9
    assert "the host cannot start" in str(said)


def test_people_see_why_nothing_is_claimed_before_the_next_beat(runs, monkeypatch):
    monkeypatch.setattr("launcher.service.daemon.interval_of", lambda _lease: 3600.0)
    runs.add()

    def told():
        return [each.takes_none for each in runs.servers().values()]

    with (
        scheduler_away() as (listener, cluster),
        in_thread(runs.daemon("needs-cluster", cluster=cluster)),
    ):
        until(lambda: told() == ["the Dask cluster cannot be used"])
        listener.listen()
        until(lambda: told() == [None])
    assert runs.servers() == {}
