"""What operators can do, and what is left to do: batches and servers."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from configs.errors import NotFound, Retry, WrongState
from pipeline.progress import Tally
from storage import batches, queues, servers, sweeping, taking
from storage.claimable import is_open
from storage.fleet import FLEET
from storage.kept import kept
from storage.offers import HERE, Offer
from storage.records import WAITS
from storage.schema import dc_batch, dc_candidate_model_list, dc_ensemble_model
from tests.calls import FAR, Calls

# Levers.


def test_a_batch_is_added_with_every_default(calls: Calls) -> None:
    number = calls.add(mode="train")

    batch = calls.read(number)
    assert (batch.state, batch.queue, batch.priority, batch.max_attempts) == (
        "I",
        "default",
        100,
        3,
    )
    assert (batch.attempt, batch.fence, batch.claim_id) == (0, 0, None)
    assert calls(batches.existing, number) == batch
    with pytest.raises(NotFound, match="99"):
        calls(batches.existing, 99)


def test_a_second_batch_of_a_dedupe_key_is_refused_while_the_first_is_active(calls: Calls) -> None:
    first = calls.add(dedupe_key="d")
    with pytest.raises(WrongState, match="dedupe_key"):
        calls.add(dedupe_key="d")
    with pytest.raises(IntegrityError):
        calls.add(batch_id=first)
    calls.finish(calls.take())
    calls.add(dedupe_key="d")
    with pytest.raises(WrongState, match="dedupe_key"):
        calls(batches.rerun, first)


def test_what_has_ended_in_python_is_not_open_in_sql(calls: Calls) -> None:
    for state, run_after, attempt in product("IUCE", (None, FAR), (1, 3)):
        calls.add(state=state, run_after=run_after, attempt=attempt, max_attempts=3)

    def numbers(*conditions: Any) -> set[int]:
        query = select(dc_batch.c.batch_id).where(*conditions)
        return calls(lambda connection: set(connection.scalars(query)))

    assert {each for each in numbers() if not calls.read(each).ended} == numbers(is_open)


def test_cancel_ends_what_waits_and_asks_what_runs(calls: Calls) -> None:
    waiting, retried = calls.add(run_after=FAR), calls.failed(Retry.LATER)
    running, done, dead = calls.add(), calls.finished(), calls.failed()
    claim = calls.take(batch_id=running)

    answers = [calls(batches.cancel, n) for n in (waiting, retried, running, done, dead)]

    assert answers == [True, True, True, False, False]
    assert calls.states() == "EEUCE"
    assert calls.beat(claim).cancel_requested
    for number in (waiting, retried):  # of which one has run, and failed
        said = f"batch {number} was cancelled while no launcher ran it"
        assert calls.read(number).failure == said
    assert calls.read(dead).error_class == "Boom"
    with pytest.raises(NotFound, match="99"):
        calls(batches.cancel, 99)


def test_cancel_ends_what_was_set_to_run_by_hand(calls: Calls) -> None:
    never, ended, by_sql = calls.add(state="U"), calls.finished(), calls.add(state="U")
    calls.take(batch_id=calls.add())
    calls.sql("UPDATE dc_batch SET state = 'U' WHERE batch_id = :n", n=ended)

    assert [calls(batches.cancel, n) for n in (never, ended)] == [True, True]
    calls.sql("UPDATE dc_batch SET cancel_requested_at = created_at WHERE batch_id = :n", n=by_sql)
    calls(sweeping.sweep)

    assert calls.states() == "EEEU"
    assert {calls.read(n).error_class for n in (never, ended, by_sql)} == {"Cancelled"}


def test_a_cancelled_batch_says_what_was_done_and_no_estimate(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take(batch_id=number)
    clock = iter((0.0, 5.0))

    def report(share: float, note: str) -> None:
        calls.beat(claim, progress=share, note=note)

    done = Tally(total=8, before=2, unit="model", report=report, clock=lambda: next(clock))
    done.advance("ML-RF")
    assert calls.read(number).progress_note == "3 of 8 models, about 25 s left, last ML-RF"

    calls(batches.cancel, number)
    calls.fail(claim, Retry.NEVER)

    assert calls.read(number).state == "E"
    assert calls.read(number).progress_note == "3 of 8 models"


def test_a_batch_cancelled_while_it_waits_for_a_retry_has_no_estimate(calls: Calls) -> None:
    number = calls.failed(Retry.LATER)
    calls.sql("UPDATE dc_batch SET progress_note = '3 of 8 models, about 25 s left, last A'")

    calls(batches.cancel, number)

    assert calls.read(number).progress_note == "3 of 8 models"


@pytest.mark.parametrize(
    "note",
    ["3 of 8 models, about 25 s left, last A", f"3 of 8 models{WAITS}the scheduler is away"],
)
def test_what_is_cut_off_a_note_at_the_end_of_a_batch(calls: Calls, note: str) -> None:
    number = calls.add()
    claim = calls.take(batch_id=number)
    calls.beat(claim, progress=0.4, note=note)

    calls.fail(claim, Retry.NEVER)

    assert calls.read(number).progress_note == "3 of 8 models"


def test_retry_starts_what_failed_from_the_first_attempt(calls: Calls) -> None:
    number = calls.failed(max_attempts=1)

    calls(batches.retry, number)

    batch = calls.read(number)
    assert (batch.state, batch.attempt, batch.error_class, batch.run_after) == ("I", 0, None, None)
    assert calls.take().fence == 2
    assert len(calls.attempts(number)) == 2


def test_retry_also_ends_the_wait_of_what_waits(calls: Calls) -> None:
    calls(batches.retry, calls.add(run_after=FAR))
    calls(batches.retry, calls.failed(Retry.LATER))

    assert calls.claim() is not None
    assert calls.claim() is not None


def test_retry_leaves_what_runs_or_is_completed(calls: Calls) -> None:
    done, running = calls.finished(), calls.add()
    calls.take()

    with pytest.raises(WrongState, match="is completed"):
        calls(batches.retry, done)
    with pytest.raises(WrongState, match="runs"):
        calls(batches.retry, running)
    with pytest.raises(NotFound, match="99"):
        calls(batches.retry, 99)


def test_rerun_takes_a_batch_from_its_runner(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    calls(batches.rerun, number)

    assert not calls.beat(claim).owned
    again = calls.take()
    assert (again.batch_id, again.fence, again.attempt) == (number, 2, 1)
    with pytest.raises(NotFound, match="99"):
        calls(batches.rerun, 99)


def test_priority_is_changed(calls: Calls) -> None:
    calls.add()
    second = calls.add()
    calls(batches.set_priority, second, 1)
    calls(batches.set_priority, second, 1)

    assert calls.take().batch_id == second
    with pytest.raises(NotFound):
        calls(batches.set_priority, 99, 1)


def test_delete_takes_all_that_a_batch_left(calls: Calls) -> None:
    number, other = calls.finished(), calls.finished()
    calls.add_model(number)
    calls.add_model(other)

    calls(batches.delete, number)

    for table in ("dc_batch", "dc_batch_attempt", "dc_model"):
        assert calls.value(f"SELECT MIN(batch_id) FROM {table}") == other
    assert calls.value("SELECT COUNT(*) FROM dc_batch_result") == 2
    with pytest.raises(NotFound):
        calls(batches.delete, number)


def test_delete_leaves_what_is_needed(calls: Calls) -> None:
    listed, parent, member = calls.finished(), calls.finished(), calls.finished()
    child, ensemble = calls.finished(mode="predict", train_batch_id=parent), calls.add(mode=None)
    key = {"batch_id": listed, "model_no": 1, "model_sub_no": 1}
    with calls.engine.begin() as connection:
        for candidate_id in ("C002", "C001"):
            connection.execute(
                insert(dc_candidate_model_list).values(candidate_id=candidate_id, **key)
            )
        for position in range(2):
            connection.execute(
                insert(dc_ensemble_model).values(
                    batch_id=ensemble,
                    position=position,
                    model_batch_id=member,
                    model_no=1,
                    model_sub_no=position,
                    model_id="x",
                    threshold=0.5,
                    sha256="x",
                )
            )

    with pytest.raises(WrongState, match="by candidate list C001, candidate list C002; delete"):
        calls(batches.delete, listed)
    with pytest.raises(WrongState, match=f"by predict batch {child}; delete"):
        calls(batches.delete, parent)
    with pytest.raises(WrongState, match=f"by batch {ensemble}; delete"):
        calls(batches.delete, member)

    assert calls(batches.delete, parent, force=True) == [f"predict batch {child}"]
    assert calls(batches.delete, ensemble) == []
    assert calls(batches.delete, member) == []
    calls.sql("UPDATE dc_batch SET train_batch_id = batch_id")
    assert calls(batches.delete, child) == []  # its own name keeps none


def test_deleting_a_running_batch_takes_it_from_its_runner(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    calls(batches.delete, number)

    assert not calls.finish(claim)
    assert calls.value("SELECT COUNT(*) FROM dc_batch_attempt") == 0


# What is left to do.


def test_what_could_be_run_now_is_told_from_what_could_not(calls: Calls) -> None:
    def ready(**offer: Any) -> int:
        told = calls(kept, HERE, Offer(server="", **offer))
        return sum(each.n for each in told if each.reason is None)

    calls.add(concurrency_key="k")
    calls.take()  # running
    calls.add(concurrency_key="k")  # blocked
    calls.add(train_batch_id=1)  # blocked
    calls.add()  # ready
    calls.failed(Retry.AT_ONCE)  # ready
    calls.failed(Retry.LATER)  # later
    calls.add(run_after=FAR)  # later
    calls.add(need_tag="gpu")  # later
    calls.failed(Retry.NEVER)
    calls.finished()
    calls.add(queue="night")

    assert ready() == 2
    assert ready(tags=("gpu",)) == 3
    assert ready(queues=("night",)) == 1


def test_nothing_is_left_when_all_that_waits_waits_for_later(calls: Calls) -> None:
    parent = calls.failed(Retry.LATER)
    calls.add(train_batch_id=parent)
    calls.add(run_after=FAR)
    assert not calls(taking.pending, Offer(server=""))

    number = calls.add()
    assert calls(taking.pending, Offer(server=""))
    claim = calls.take()
    assert calls(taking.pending, Offer(server=""))
    assert calls(taking.running, Offer(server="")) == [number]
    night = Offer(server="", queues=("night",))
    assert not calls(taking.pending, night)
    assert calls(taking.running, night) == []
    calls.finish(claim)
    assert not calls(taking.pending, Offer(server=""))

    calls(queues.pause, "default")
    calls(batches.rerun, number)
    assert not calls(taking.pending, Offer(server=""))


def test_what_is_left_waiting_is_told_by_reason_with_the_first_of_each(calls: Calls) -> None:
    other = calls.add(queue="밤")
    free = calls.add()  # could run
    parent = calls.failed(Retry.LATER)
    far = calls.add(run_after=FAR)
    child = calls.add(train_batch_id=parent)
    tagged = calls.add(need_tag="gpu")
    calls.add(queue="밤", need_tag="gpu")
    calls.add(need_tag="gpu", cancel_requested_at=FAR)

    told = calls(kept, HERE, Offer(server="A"))

    assert [(each.reason, each.queue, each.need_tag, each.n, each.batch_id) for each in told] == [
        ("queue unserved here", "밤", None, 2, other),
        (None, None, None, 1, free),
        ("time", None, None, 2, parent),
        ("other batch", None, None, 1, child),
        ("no tag here", None, "gpu", 1, tagged),
    ]
    (at,) = [each.run_after for each in told if each.run_after is not None]
    assert at < calls(batches.read, far).run_after


# Servers.


def test_a_server_is_registered_seen_and_removed(calls: Calls) -> None:
    calls.register("S1", identity="a", tags=["gpu", "큰"], gpus=1)
    (server,) = calls(servers.listing)
    assert (server.serve_server_id, server.slots, server.gpus, server.paused) == ("S1", 2, 1, 0)
    assert server.tags == ("gpu", "큰")
    assert (server.memory_mb, server.takes_none) == (None, None)

    calls.sql("UPDATE dc_server SET last_seen = '2020-01-01 00:00:00'")
    assert calls(servers.renew, "S1", "a", memory_mb=900, takes_none="it is stopping") == "a"
    (server,) = calls(servers.listing)
    assert (server.memory_mb, server.takes_none) == (900, "it is stopping")
    assert server.last_seen is not None
    assert server.last_seen.year > 2020

    calls(servers.remove, "S1", "a")
    assert calls(servers.listing) == ()


def test_a_server_that_started_since_is_not_removed_by_the_old_one(calls: Calls) -> None:
    for identity in ("old", "new"):
        calls.register("S1", identity=identity)

    calls.sql("UPDATE dc_server SET last_seen = '2020-01-01 00:00:00'")
    assert calls(servers.renew, "S1", "old", takes_none="it is stopping") == "new"
    calls(servers.remove, "S1", "old")

    (server,) = calls(servers.listing)
    assert (server.identity, server.takes_none) == ("new", None)
    assert server.last_seen is not None
    assert server.last_seen.year == 2020


def test_a_pause_outlives_restarts_and_may_come_before_the_start(calls: Calls) -> None:
    calls(servers.pause, "S1")
    calls.register("S1", identity="a")
    calls(servers.renew, "S1", "a", takes_none="it is stopping")
    calls(servers.remove, "S1", "a")
    assert calls(servers.listing)[0].takes_none is None
    calls.register("S1", identity="b")

    (server,) = calls(servers.listing)
    assert (server.paused, server.identity) == (1, "b")
    calls(servers.resume, "S1")
    calls(servers.resume, "S1")
    assert calls(servers.listing)[0].paused == 0


def test_what_waiting_batches_ask_of_launchers_is_told_by_the_first_of_them(calls: Calls) -> None:
    plain, tagged = calls.add(), calls.add(queue="q", need_tag="gpu")
    for columns in ({}, {"queue": "q", "need_tag": "gpu"}, {"queue": "ended", "state": "E"}):
        calls.add(**columns)
    calls.add(queue="stopping", cancel_requested_at=FAR)

    told = [(each.batch_id, each.queue, each.need_tag, each.n) for each in calls(kept, FLEET)]

    assert told == [(plain, "default", None, 2), (tagged, "q", "gpu", 2)]
