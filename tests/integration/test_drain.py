"""Launchers that drain: what they run, what they leave and say."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from launcher.service.absence import Absence
from storage import queues, servers
from storage.columns import utc_now
from tests.runs import in_thread, scheduler_away
from tests.waiting import until


@pytest.mark.parametrize("slots", [1, 3])
def test_a_draining_launcher_runs_everything_and_leaves(runs, slots):
    batch_ids = [runs.add() for _ in range(4)]

    assert runs.daemon("succeed", drain=True, slots=slots).run() == 0
    assert runs.states_of(*batch_ids) == ["C"] * 4


def test_drain_waits_for_what_another_launcher_runs(runs):
    first, second = runs.add(), runs.add(mode="predict")
    runs.change(second, train_batch_id=first)

    def waited():
        return [told["batches"] for told in said if told["event"].startswith("waiting for batches")]

    with capture_logs() as said, in_thread(runs.daemon("told", server_id="A")):
        until(lambda: runs.row(first).state == "U")
        with in_thread(runs.daemon("succeed", drain=True)) as codes:
            until(waited)
            runs.tell("A")
            until(lambda: codes, 30)
    assert codes == [0]
    assert runs.states_of(first, second) == ["C", "C"]
    assert waited()[0] == [first]


def drain(runs, behaviour="succeed", code=0, **options):
    """What a launcher that drains says it leaves, the first first; it must end by itself."""
    with capture_logs() as said, in_thread(runs.daemon(behaviour, drain=True, **options)) as codes:
        until(lambda: codes, 30)
    assert codes == [code]
    return [(e["batches"], e["why"]) for e in said if e["event"] == "left waiting"]


def test_drain_leaves_retries_of_later_and_paused_work(runs):
    later = runs.add(state="E", run_after=utc_now(600), attempt=1)
    tagged = runs.add(need_tag="gpu")

    assert runs.daemon("succeed", drain=True).run() == 0
    assert runs.states_of(later, tagged) == ["E", "I"]
    assert runs.daemon("succeed", drain=True, tags=("gpu",)).run() == 0
    assert runs.states_of(later, tagged) == ["E", "C"]


def test_drain_leaves_a_retry_whose_twin_waits_for_its_time(runs):
    retry = runs.add(dedupe_key="d", state="E", run_after=utc_now(-1), attempt=1)
    twin = runs.add(dedupe_key="d", run_after=utc_now(600))

    left = drain(runs)

    assert runs.states_of(retry, twin) == ["E", "I"]
    assert [(batches, why.partition(" (")[0].partition(";")[0]) for batches, why in left] == [
        (1, "they wait for other batches"),
        (1, "their time"),
    ]


def test_drain_says_what_it_leaves_and_what_to_do(runs):
    runs.add()  # it runs, and is not told of
    runs.add(queue="night")
    runs.add(queue="밤 2")
    runs.add(queue="밤 2", need_tag="gpu")
    runs(queues.pause, "shut")
    runs.add(queue="shut")
    runs.add(need_tag="gpu")
    later = runs.add(run_after=datetime(2999, 1, 1, tzinfo=UTC))
    retry = runs.add(state="E", run_after=datetime(2998, 1, 1, tzinfo=UTC), attempt=1)
    runs.add(state="E", run_after=utc_now(600), attempt=3, max_attempts=3)
    big = runs.add(need_mem_mb=10**9)
    runs.add(mode="predict", train_batch_id=retry)
    runs.add(cancel_requested_at=utc_now(600), run_after=utc_now(600))

    until_then = (
        "their time (run_after) is to come, the earliest at 2998-01-01 00:00:00 UTC; "
        f"`deepcredit batch retry {later}` lets batch {later} run at once"
    )
    too_big = (
        "they need more memory (need_mem_mb) than is free here; "
        f"`deepcredit batch show {big}` says how much"
    )
    assert drain(runs, queues=("default", "shut")) == [
        (1, "queue night is not served here; --queue night would"),
        (2, "queue 밤 2 is not served here; --queue '밤 2' would"),
        (1, "queue shut is paused; `deepcredit queue resume shut`"),
        (1, "this launcher lacks tag gpu; --tag gpu gives it"),
        (2, until_then),
        (1, too_big),
        (1, "they wait for other batches; `deepcredit batch list` says for which"),
    ]

    runs(servers.pause, "B")

    paused = "this server is paused; `deepcredit server resume B`"
    assert (1, paused) in drain(runs, queues=("night",))


def test_drain_does_not_wait_for_a_scheduler_that_is_away(runs):
    batch_ids = [runs.add() for _ in range(3)]
    other = runs.add(queue="night")
    with scheduler_away() as (_, cluster):
        left = drain(runs, "needs-cluster", code=1, cluster=cluster)

    assert runs.states_of(*batch_ids, other) == ["I"] * 4
    assert left == [
        (3, "the Dask cluster cannot be used; `deepcredit doctor` examines it"),
        (1, "queue night is not served here; --queue night would"),
    ]


def test_what_runs_goes_on_when_drain_finds_the_scheduler_away(runs, monkeypatch):
    batch_id = runs.add()
    daemon = runs.daemon("succeed:0.5", drain=True, slots=2)
    pauses = iter([0.0])
    monkeypatch.setattr(daemon._absence, "pause", lambda: next(pauses, 60.0))
    monkeypatch.setattr(Absence, "why", "the Dask cluster cannot be used")

    assert daemon.run() == 0
    assert runs.states_of(batch_id) == ["C"]


def test_drain_does_not_wait_for_a_host_that_starts_no_process(runs):
    batch_ids = [runs.add() for _ in range(2)]

    [(batches, why)] = drain(runs, code=1, command=["/nowhere/python"])

    assert runs.states_of(*batch_ids) == ["I", "I"]
    assert batches == 2
    assert "the host cannot start" in why
