import sys
import threading
import time
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from configs.errors import ClusterAway, DatabaseRefused, DatabaseUnavailable, Retry
from launcher.service import heartbeat, settlement
from launcher.service import supervisor as supervisors
from launcher.service.child import spawn
from launcher.service.heartbeat import Pulse
from launcher.service.settlement import give_back, settle
from launcher.service.supervisor import Outcome
from launcher.service.verdict import CANNOT_BEGIN, Release, Stopping, Wait, judge
from storage import claims, sweeping
from storage.columns import utc_now
from storage.engine import make_engine
from tests.proxy import proxied
from tests.runs import Running, Runs
from tests.waiting import alive, until

LEASE = 1.6  # so that a beat comes every 0.2 s


@pytest.fixture
def both_runs(database_settings, tmp_path):
    runs = Runs(database_settings.model_copy(update={"lease_seconds": LEASE}), tmp_path)
    yield runs
    runs.engine.dispose()


@pytest.fixture
def proxy(mariadb_server):
    with proxied(mariadb_server.port) as proxy:
        yield proxy


@pytest.fixture
def runs(mariadb_settings, tmp_path):
    runs = Runs(mariadb_settings.model_copy(update={"lease_seconds": LEASE}), tmp_path)
    yield runs
    runs.engine.dispose()


@pytest.fixture
def sqlite_runs(sqlite_settings, tmp_path):
    runs = Runs(sqlite_settings, tmp_path)
    yield runs
    runs.engine.dispose()


@pytest.fixture
def cut_runs(mariadb_settings, proxy, tmp_path):
    """The database behind a proxy."""
    settings = mariadb_settings.model_copy(update={"lease_seconds": LEASE})
    runs = Runs(proxy.before(settings), tmp_path)
    yield runs
    proxy.restore()
    runs.engine.dispose()


def test_a_batch_that_succeeds_is_completed(both_runs):
    runs = both_runs
    batch_id = runs.add()
    with capture_logs() as logged:
        outcome = runs.supervise("succeed").outcome()

    row = runs.row(batch_id)
    assert outcome == Outcome("C", stale=False)
    assert (row.state, row.progress, row.lease_until) == ("C", 1.0, None)
    assert runs.outcomes(batch_id) == [("C", None)]
    assert not alive(runs.pid())
    [summary] = [line for line in logged if line["event"] == "batch ended"]
    assert 0 < summary.pop("seconds") < 20
    assert summary == {
        "event": "batch ended",
        "log_level": "info",
        "batch_id": batch_id,
        "mode": "train",
        "attempt": 1,
        "fence": 1,
        "outcome": "C",
        "summary": "fence 1",
    }


def test_progress_is_seen_while_it_runs(runs):
    batch_id = runs.add()
    running = runs.supervise("hang")
    until(lambda: runs.row(batch_id).progress_note == "1 of 4 모델")

    assert runs.row(batch_id).progress == 0.25
    running.supervisor.stop(Stopping.NOW)
    running.outcome()


def test_progress_is_seen_long_before_a_beat_is_due(sqlite_runs, monkeypatch):
    monkeypatch.setattr(heartbeat, "_NEWS_SECONDS", 0.05)
    runs = sqlite_runs
    runs.settings = runs.settings.model_copy(update={"lease_seconds": 600.0})
    batch_id = runs.add()
    running = runs.supervise("hang")
    try:
        until(lambda: runs.row(batch_id).progress_note == "1 of 4 모델", seconds=10)
    finally:
        running.supervisor.stop(Stopping.NOW)
        running.outcome()


def test_the_lease_is_renewed_as_long_as_it_takes(runs, monkeypatch):
    judged = []
    monkeypatch.setattr(supervisors, "judge", lambda now: judged.append(now) or judge(now))
    batch_id = runs.add()
    running = runs.supervise("succeed:2.5")

    seen = set()
    until(lambda: seen.add(runs.row(batch_id).lease_until) or runs.row(batch_id).state == "C")
    assert running.outcome().state == "C"
    assert len(seen) > 5
    assert len(judged) < 100  # it sleeps while nothing happens


@pytest.mark.parametrize(
    ("behaviour", "lost"), [("worker-lost", "WorkerLost"), ("cluster-lost", "ClusterUnavailable")]
)
def test_workers_are_not_used_again_after_one_was_lost(sqlite_runs, behaviour, lost):
    sqlite_runs.add()
    outcome = sqlite_runs.supervise(behaviour).outcome()

    assert outcome == Outcome("E", stale=True, error_class=lost)


def test_bad_input_is_final_and_says_why(both_runs):
    runs = both_runs
    batch_id = runs.add()
    with capture_logs() as logged:
        outcome = runs.supervise("bad-data").outcome()

    assert outcome == Outcome("E", stale=False, error_class="BadData")
    row = runs.row(batch_id)
    assert (row.state, row.error_class, row.error_text) == ("E", "BadData", "the table is empty")
    assert row.run_after is None
    assert runs.outcomes(batch_id) == [("E", "BadData")]
    assert "Traceback" not in str(logged)
    [attempt] = runs.attempts(batch_id)
    assert "Traceback (most recent call last):" in attempt.error_text
    [ended] = [line for line in logged if line["event"] == "batch ended"]
    assert (ended["error_class"], ended["error"]) == ("BadData", "the table is empty")


def test_a_fault_of_the_code_is_tried_again_later(runs):
    batch_id = runs.add()
    with capture_logs() as logged:
        runs.supervise("bug").outcome()

    [failed] = [line for line in logged if line["event"] == "batch failed"]
    assert failed["exception"].startswith("Traceback (most recent call last):")

    row = runs.row(batch_id)
    assert (row.error_class, row.error_text) == (
        "ZeroDivisionError",
        "ZeroDivisionError: 0으로 나눔",
    )
    assert timedelta(minutes=15) < row.run_after - row.work_end_date < timedelta(minutes=25)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [("crash", "exit code 7"), ("suicide", "out of memory"), ("unknown", "exit code 1")],
)
def test_a_child_that_dies_is_tried_again_at_once(sqlite_runs, behaviour, words):
    runs = sqlite_runs
    batch_id = runs.add()
    runs.supervise(behaviour).outcome()

    row = runs.row(batch_id)
    assert row.error_class == "ChildLost"
    assert words in row.error_text
    assert row.run_after - row.work_end_date < timedelta(seconds=1)
    assert runs.supervise("succeed").outcome().state == "C"
    assert runs.outcomes(batch_id) == [("E", "ChildLost"), ("C", None)]


def test_what_a_dead_child_printed_last_is_kept(sqlite_runs):
    runs = sqlite_runs
    runs.add()
    with capture_logs() as logged:
        runs.supervise("crash").outcome()

    [failed] = [line for line in logged if line["event"] == "batch failed"]
    assert "MemoryError: 메모리 부족" in failed["exception"]
    said = [line["log_level"] for line in logged if line["event"] == "child says"]
    assert said == ["warning", "info"]


@pytest.mark.parametrize("command", [["/nowhere/python"], None])
def test_a_batch_whose_process_does_not_start_is_given_back_so_many_times(sqlite_runs, command):
    runs = sqlite_runs
    batch_id = runs.add()
    most = CANNOT_BEGIN["StartFailed"].at_most
    outcomes = [runs.supervise("mute", command).outcome().state for _ in range(most + 1)]

    assert outcomes == ["I"] * most + ["E"]
    row = runs.row(batch_id)
    assert (row.error_class, row.attempt) == ("StartFailed", 1)
    assert row.run_after is not None
    runs.change(batch_id, run_after=utc_now(-1))
    assert runs.supervise("mute", command).outcome().state == "I"


@pytest.mark.parametrize(
    ("error", "error_class"),
    [(ClusterAway("no scheduler"), "ClusterAway"), (OSError("no process left"), "StartFailed")],
)
def test_a_batch_that_gets_no_cluster_is_given_back_and_its_child_sent_home(
    sqlite_runs, monkeypatch, error, error_class
):
    def scheduler():
        raise error

    monkeypatch.setattr(supervisors, "_LEAVE_SECONDS", 60.0)
    runs, cluster = sqlite_runs, SimpleNamespace(scheduler=scheduler)
    batch_id = runs.add()
    running = Running(runs.supervisor(lambda: spawn(runs.command("hang")), cluster))

    assert running.outcome() == Outcome("I", stale=False, error_class=error_class)
    assert str(error) in runs.attempts(batch_id)[0].error_text
    assert runs.row(batch_id).attempt == 0


@pytest.mark.parametrize("which", ["_run", "_read_stderr", "_await_end", "_give_job"])
def test_a_host_without_threads_to_give_gives_the_batch_back(sqlite_runs, monkeypatch, which):
    runs = sqlite_runs
    runs.settings = runs.settings.model_copy(update={"lease_seconds": LEASE})
    batch_id = runs.add()
    processes = []

    def start(thread, start=threading.Thread.start):
        if getattr(thread._target, "__name__", "") == which:
            raise RuntimeError("can't start new thread")
        start(thread)

    def noted():
        processes.append(spawn(runs.command("hang")))
        return processes[-1]

    with monkeypatch.context() as patch:
        supervisor = runs.supervisor(noted)
        patch.setattr(threading.Thread, "start", start)
        outcome = supervisor.run()

    row = runs.row(batch_id)
    assert outcome.state == row.state == "I"
    assert (row.attempt, row.lease_until) == (0, None)
    assert runs.outcomes(batch_id) == [("I", "StartFailed")]
    assert not any(alive(process.pid) for process in processes)


@pytest.mark.parametrize("behaviour", ["hang", "stubborn"])
def test_a_cancel_stops_the_child_even_one_that_ignores_sigterm(runs, behaviour, monkeypatch):
    monkeypatch.setattr("launcher.service.child._TERM_SECONDS", 0.3)
    batch_id = runs.add()
    running = runs.supervise(behaviour)
    pid = runs.pid()
    runs.change(batch_id, cancel_requested_at=utc_now())

    assert running.outcome() == Outcome("E", stale=True, error_class="Cancelled")
    row = runs.row(batch_id)
    assert (row.state, row.error_class, row.run_after) == ("E", "Cancelled", None)
    assert row.cancel_requested_at is None
    assert not alive(pid)


def test_an_operator_who_resets_it_takes_the_batch_away(runs):
    batch_id = runs.add()
    running = runs.supervise("hang")
    pid = runs.pid()
    with capture_logs() as logged:
        runs.change(batch_id, state="I")
        assert running.outcome() == Outcome(None, stale=True)

    assert "took the batch" in logged[-1]["reason"]
    assert not alive(pid)
    row = runs.row(batch_id)
    assert (row.state, row.error_class) == ("I", None)


def test_a_deleted_row_stops_its_child(runs):
    batch_id = runs.add()
    running = runs.supervise("hang")
    pid = runs.pid()
    runs.sql("DELETE FROM dc_batch WHERE batch_id = :n", n=batch_id)

    assert running.outcome().state is None
    assert not alive(pid)


def test_a_child_whose_write_was_refused_is_believed(runs):
    batch_id = runs.add()

    assert runs.supervise("lost").outcome().state is None
    assert runs.row(batch_id).state == "U"


def test_a_stop_gives_the_batch_back_with_its_attempt(both_runs):
    runs = both_runs
    batch_id = runs.add()
    running = runs.supervise("hang")
    pid = runs.pid()
    running.supervisor.stop(Stopping.NOW)

    assert running.outcome() == Outcome("I", stale=True)
    row = runs.row(batch_id)
    assert (row.state, row.attempt, row.fence) == ("I", 0, 1)
    assert not alive(pid)


def test_what_a_child_says_as_it_is_stopped_counts(sqlite_runs):
    runs = sqlite_runs
    batch_id = runs.add()
    running = runs.supervise("parting")
    runs.pid()
    running.supervisor.stop(Stopping.NOW)

    assert running.outcome().state == "C"
    assert runs.row(batch_id).progress_note == "after all"


def test_a_child_that_has_finished_may_tidy_up(sqlite_runs):
    runs = sqlite_runs
    runs.add()

    assert runs.supervise("tidy").outcome() == Outcome("C", stale=False)
    assert (runs.folder / "child.tidied").exists()


def test_processes_that_a_child_left_behind_are_ended(sqlite_runs):
    runs = sqlite_runs
    runs.add()

    assert runs.supervise("parent-of-one").outcome().state == "C"
    grandchild = runs.folder / "child.grandchild"
    until(grandchild.exists)
    until(lambda: grandchild.read_text() and not alive(int(grandchild.read_text())))


def test_an_outage_shorter_than_the_lease_costs_nothing(cut_runs, proxy):
    batch_id = cut_runs.add()
    running = cut_runs.supervise("succeed:2.0")  # longer than a lease
    cut_runs.pid()
    proxy.cut()
    time.sleep(0.5)
    proxy.restore()

    assert running.outcome().state == "C"
    assert cut_runs.outcomes(batch_id) == [("C", None)]


def test_work_finished_during_an_outage_is_settled_after_it(cut_runs, proxy):
    batch_id = cut_runs.add()
    running = cut_runs.supervise("succeed:0.3")
    pid = cut_runs.pid()
    proxy.cut()
    until(lambda: not alive(pid) or running.supervisor._last_word)
    time.sleep(0.3)
    proxy.restore()

    assert running.outcome().state == "C"
    assert cut_runs.row(batch_id).state == "C"


def test_a_child_does_not_outlive_the_lease_in_an_outage(cut_runs, proxy):
    batch_id = cut_runs.add()
    running = cut_runs.supervise("hang")
    pid = cut_runs.pid()
    proxy.cut()
    cut_at = time.monotonic()
    until(lambda: not alive(pid))

    assert time.monotonic() - cut_at <= LEASE + 3
    proxy.restore()
    assert running.outcome() == Outcome("I", stale=True)
    row = cut_runs.row(batch_id)
    assert (row.state, row.attempt, row.fence) == ("I", 0, 1)


def test_a_lease_that_is_renewed_after_its_end_is_not_taken_for_lost_meanwhile(
    sqlite_runs, monkeypatch
):
    runs = sqlite_runs
    runs.add()
    supervisor = runs.supervisor(lambda: spawn(runs.command("hang")))
    supervisor._heartbeat._fail(DatabaseUnavailable("away"))
    late = time.monotonic() + 2 * runs.settings.lease_seconds
    monkeypatch.setattr(time, "monotonic", lambda: late)
    verdicts = []

    def between_lines(frame, *_):
        """What another thread would find if it came right here."""
        if frame.f_code.co_filename == heartbeat.__file__:
            verdicts.append(type(judge(supervisor._situation())))
            return between_lines
        return None

    before = sys.gettrace()
    sys.settrace(between_lines)
    try:
        assert supervisor._heartbeat._beat()
    finally:
        sys.settrace(before)

    assert verdicts[0] is Release
    assert verdicts[-1] is Wait
    assert set(verdicts) == {Release, Wait}


@pytest.mark.parametrize(
    ("behaviour", "state", "attempt"),
    [("hang", "E", ("E", "LeaseExpired")), ("parting", "C", ("C", None))],
)
def test_a_host_that_slept_longer_than_the_lease_ends_what_nobody_has_taken(
    runs, behaviour, state, attempt
):
    runs.settings = runs.settings.model_copy(update={"lease_seconds": 600.0})
    batch_id = runs.add()
    running = runs.supervise(behaviour)
    until(lambda: runs.row(batch_id).progress)  # the next beat is far off

    running.supervisor._heartbeat.pulse = Pulse(time.monotonic() - 1)
    running.supervisor._wake.set()

    assert running.outcome().state == state
    assert runs.outcomes(batch_id) == [attempt]
    row = runs.row(batch_id)
    assert (row.state, row.run_after is not None) == (state, state == "E")


def test_a_batch_that_was_taken_in_an_outage_is_not_given_back(cut_runs, proxy, runs):
    batch_id = cut_runs.add()
    running = cut_runs.supervise("hang")
    cut_runs.pid()
    proxy.cut()
    until(lambda: runs(sweeping.sweep) == [(batch_id, 1)])
    taken = runs.claim()
    proxy.restore()

    assert running.outcome() == Outcome(None, stale=True)
    assert (runs.row(batch_id).state, runs.row(batch_id).fence) == ("U", taken.fence)


def test_work_finished_during_a_long_outage_counts_if_nobody_took_the_batch(
    cut_runs, proxy, monkeypatch
):
    monkeypatch.setattr(settlement, "_HURRY_SECONDS", 0.0)
    batch_id = cut_runs.add(max_attempts=1)
    running = cut_runs.supervise("succeed:0.2")
    cut_runs.pid()
    running.supervisor.stop(Stopping.DRAINING)  # no reason to hurry
    proxy.cut()
    time.sleep(2.5 * LEASE)
    proxy.restore()

    assert running.outcome() == Outcome("C", stale=False)
    assert cut_runs.outcomes(batch_id) == [("C", None)]


def test_finishing_is_given_up_when_told_to_hurry(cut_runs, proxy):
    cut_runs.add()
    running = cut_runs.supervise("succeed:0.2")
    cut_runs.pid()
    proxy.cut()
    until(lambda: running.supervisor._last_word)
    told = time.monotonic()
    with capture_logs() as logged:
        running.supervisor.stop(Stopping.NOW)
        assert running.outcome() == Outcome(None, stale=False)

    assert time.monotonic() - told < 10
    assert [line for line in logged if line["event"].startswith("gave up ending")]


def test_an_end_that_the_database_does_not_take_is_given_up_after_a_lease(sqlite_runs, monkeypatch):
    monkeypatch.setattr(settlement, "_HURRY_SECONDS", 0.0)
    runs = sqlite_runs
    runs.add()
    claim = claims.claim_of(runs.claim())

    def refused(connection):
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    began = time.monotonic()
    ended = settle(runs.engine, claim, refused, ("C",), seconds=0.5, hurry=threading.Event())
    assert ended is None
    assert 0.5 <= time.monotonic() - began < 5


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), DatabaseRefused("read-only")])
def test_an_end_waits_for_a_database_longer_than_a_lease(sqlite_runs, error):
    runs = sqlite_runs
    runs.add()
    claim = claims.claim_of(runs.claim())
    back = time.monotonic() + 0.5

    def finish(connection):
        if time.monotonic() < back:
            raise error
        return claims.finish(connection, claim)

    hurry = threading.Event()
    assert settle(runs.engine, claim, finish, ("C",), seconds=0.1, hurry=hurry) == "C"


def test_who_hurries_does_not_ask_all_the_time(sqlite_runs, monkeypatch):
    monkeypatch.setattr(settlement, "_HURRY_SECONDS", 0.5)
    runs, tries, hurry = sqlite_runs, [], threading.Event()
    runs.add()
    hurry.set()

    def away(_):
        tries.append(1)
        raise DatabaseUnavailable

    claim = claims.claim_of(runs.claim())
    assert settle(runs.engine, claim, away, ("C",), seconds=60, hurry=hurry) is None
    assert len(tries) < 20


def test_an_end_that_an_operator_gave_a_batch_is_not_ours(sqlite_runs):
    runs = sqlite_runs
    batch_id = runs.add()
    claim = claims.claim_of(runs.claim())
    runs.change(batch_id, state="I")

    def finish(connection):
        return claims.finish(connection, claim)

    hurry = threading.Event()
    assert settle(runs.engine, claim, finish, ("C",), seconds=60, hurry=hurry) is None


def test_a_claim_is_not_given_back_for_ever_while_the_database_is_away(sqlite_runs, monkeypatch):
    monkeypatch.setattr(settlement, "_HURRY_SECONDS", 0.2)
    runs = sqlite_runs
    runs.add()
    claim = claims.claim_of(runs.claim())
    url = "mariadb+pymysql://u@127.0.0.1:1/d"
    away = make_engine(runs.settings.model_copy(update={"database_url": url}))
    giving = threading.Thread(target=give_back, args=(away, claim), daemon=True)
    giving.start()
    giving.join(20)

    assert not giving.is_alive()
    give_back(runs.engine, claim)
    assert runs.row(claim.batch_id).state == "I"
    away.dispose()


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (claims.finish, "C"),
        (claims.release, "I"),
        (partial(claims.fail, error_class="X", error_text="x", retry=Retry.LATER), "E"),
    ],
)
def test_a_lost_answer_to_the_last_commit_is_looked_up(cut_runs, proxy, work, expected):
    batch_id = cut_runs.add()
    claim = claims.claim_of(cut_runs.claim())
    proxy.lose_answer_to(b"COMMIT")
    state = settle(
        cut_runs.engine,
        claim,
        lambda connection: work(connection, claim),
        (expected,),
        seconds=LEASE,
        hurry=threading.Event(),
    )

    assert proxy.answer_was_lost
    assert state == expected
    assert [outcome for outcome, _ in cut_runs.outcomes(batch_id)] == [expected]


@pytest.fixture
def doubtful(cut_runs, proxy):
    """A batch, and the claimer to whose claim of it the answer was lost."""
    batch_id = cut_runs.add()
    claimer = cut_runs.claimer()
    proxy.lose_answer_to(b"COMMIT")
    with pytest.raises(DatabaseUnavailable):
        claimer.next(0)
    assert proxy.answer_was_lost
    return batch_id, claimer


def test_a_lost_answer_to_a_claim_is_looked_up_and_the_batch_run(cut_runs, doubtful):
    batch_id, claimer = doubtful

    assert claimer.next(0).batch.batch_id == batch_id
    assert claimer.next(0) is None
    assert cut_runs.outcomes(batch_id) == [(None, None)]


def test_a_lost_answer_to_the_claim_of_one_batch_is_looked_up_at_once(cut_runs, proxy):
    batch_id = cut_runs.add()
    claimer = cut_runs.claimer()
    proxy.lose_answer_to(b"COMMIT")

    assert claimer.this(batch_id).batch.batch_id == batch_id
    assert proxy.answer_was_lost
    assert cut_runs.outcomes(batch_id) == [(None, None)]


def test_a_lease_counts_from_before_its_claim_was_sent(sqlite_runs, monkeypatch):
    honest, sent = claims.claim, []

    def claim(*words, **named):
        sent.append(time.monotonic())
        return honest(*words, **named)

    monkeypatch.setattr(claims, "claim", claim)
    sqlite_runs.add()
    claimed = sqlite_runs.claimer().next(0)

    assert claimed.at < sent[0]


def test_a_claim_whose_answer_was_lost_may_be_swept_meanwhile(cut_runs, doubtful):
    batch_id, claimer = doubtful
    cut_runs.change(batch_id, lease_until=utc_now(-1))
    assert cut_runs(sweeping.sweep) == [(batch_id, 1)]

    assert claimer.next(0).batch.fence == 3


def test_a_claim_that_did_not_arrive_is_forgotten(cut_runs, proxy):
    batch_id = cut_runs.add()
    claimer = cut_runs.claimer()
    proxy.cut()
    with pytest.raises(DatabaseUnavailable):
        claimer.next(0)
    proxy.restore()

    assert cut_runs.row(batch_id).state == "I"
    assert claimer.next(0).batch.fence == 1


def test_a_claim_that_breaks_before_its_commit_is_none(cut_runs, proxy):
    batch_id = cut_runs.add()
    claimer = cut_runs.claimer()

    def break_off(_connection):
        proxy.cut()
        proxy.restore()

    event.listen(cut_runs.engine, "commit", break_off, once=True)
    with pytest.raises(DatabaseUnavailable):
        claimer.this(batch_id)

    assert claimer.this(batch_id).batch.fence == 1


def test_a_swept_batch_that_is_set_to_running_by_hand_is_not_waited_for(sqlite_runs):
    runs = sqlite_runs
    batch_id = runs.add()
    claim = claims.claim_of(runs.claim())
    runs.change(batch_id, lease_until=utc_now(-1))
    runs(sweeping.sweep)
    runs.change(batch_id, state="U")
    hurry = threading.Event()
    threading.Timer(3, hurry.set).start()

    began = time.monotonic()
    ended = settle(
        runs.engine,
        claim,
        lambda connection: claims.finish(connection, claim),
        ("C",),
        seconds=0.5,
        hurry=hurry,
    )
    assert ended is None
    assert time.monotonic() - began < 2
