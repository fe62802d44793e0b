"""Whose words count while a batch runs, how its run ends, and what the sweep makes of it."""

from datetime import timedelta

import pytest

from configs.errors import LeaseLost, Retry
from storage import batches, claims, sweeping
from storage.offers import Offer
from storage.records import Claim
from tests.calls import Calls


def fresh(claim: Claim) -> Claim:
    return Claim(batch_id=claim.batch_id, claim_id="0" * 32, fence=claim.fence, attempt=1)


# Whose words count.


def test_every_claim_has_an_id_of_its_own_and_a_higher_fence(calls: Calls) -> None:
    calls.add(max_attempts=9)
    seen = []
    for _ in range(4):
        seen.append(calls.take())
        calls.fail(seen[-1], Retry.AT_ONCE)

    assert len({claim.claim_id for claim in seen}) == 4
    assert [claim.fence for claim in seen] == [1, 2, 3, 4]
    assert [claim.attempt for claim in seen] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "theft",
    [
        "UPDATE dc_batch SET state = 'I'",
        "UPDATE dc_batch SET state = 'E', run_after = NULL",
        "UPDATE dc_batch SET state = 'C'",
        "DELETE FROM dc_batch",
        "UPDATE dc_batch SET claim_id = 'somebody else'",
        "UPDATE dc_batch SET fence = fence + 1",
    ],
)
def test_a_run_that_lost_its_batch_changes_nothing(calls: Calls, theft: str) -> None:
    calls.add()
    claim = calls.take()
    calls.sql(theft)
    before = calls.value("SELECT COUNT(*) FROM dc_batch"), calls.states()

    assert calls.beat(claim) == claims.Beat(owned=False, cancel_requested=False)
    assert not calls.finish(claim)
    assert not calls.fail(claim)
    assert not calls(claims.release, claim)
    with pytest.raises(LeaseLost, match="no longer ours"):
        calls(claims.hold, claim)

    assert (calls.value("SELECT COUNT(*) FROM dc_batch"), calls.states()) == before


def test_another_claim_id_is_nobody(calls: Calls) -> None:
    calls.add()
    stranger = fresh(calls.take())

    assert not calls.beat(stranger).owned
    assert not calls.finish(stranger)
    assert calls(claims.settled, stranger) is None
    assert calls.states() == "U"


def test_hold_lets_the_owner_through_as_often_as_it_likes(calls: Calls) -> None:
    calls.add()
    claim = calls.take()

    for _ in range(2):
        calls(claims.hold, claim)

    assert calls.states() == "U"
    assert calls.finish(claim)


def test_a_beat_renews_the_lease_and_keeps_progress_that_is_not_given(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take(lease=1)

    assert calls.beat(claim, lease_seconds=500, progress=0.25, note="3 of 12").owned
    calls.beat(claim, lease_seconds=500)

    batch = calls.read(number)
    assert (batch.progress, batch.progress_note) == (0.25, "3 of 12")
    assert batch.lease_until is not None
    assert batch.work_date is not None
    assert batch.lease_until - batch.work_date > timedelta(seconds=400)


def test_identical_beats_are_all_owned(calls: Calls) -> None:
    calls.add()
    claim = calls.take()
    with calls.engine.begin() as connection:
        beats = [
            claims.beat(connection, claim, lease_seconds=60, progress=0.5, note="same")
            for _ in range(20)
        ]
    assert all(beat.owned for beat in beats)


def test_a_late_beat_still_renews_a_lease_that_nobody_swept(calls: Calls) -> None:
    calls.add()
    claim = calls.take(lease=-100)

    assert calls.beat(claim).owned
    assert calls(sweeping.sweep) == []


def test_progress_and_note_are_cut_to_what_the_row_takes(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    calls.beat(claim, progress=7.5, note="가" * 300)
    batch = calls.read(number)

    assert batch.progress == 1.0
    assert len(batch.progress_note or "") == 255


def test_a_beat_tells_of_a_cancel(calls: Calls) -> None:
    calls.add()
    claim = calls.take()
    assert not calls.beat(claim).cancel_requested

    calls.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")

    assert calls.beat(claim) == claims.Beat(owned=True, cancel_requested=True)


# How a claim ends.


def test_finish_completes_once(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()

    assert calls(claims.settled, claim) == "U"
    assert [calls.finish(claim), calls.finish(claim)] == [True, False]
    assert calls(claims.settled, claim) == "C"

    batch = calls.read(number)
    assert (batch.state, batch.progress, batch.lease_until) == ("C", 1.0, None)
    assert batch.work_end_date is not None
    (attempt,) = calls.attempts(number)
    assert (attempt.outcome, attempt.fence, attempt.serve_server_id) == ("C", 1, "S1")
    assert attempt.identity == "S1:1:b:0"
    assert attempt.started_at == batch.work_date
    assert attempt.finished_at is not None


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 20), (2, 40), (3, 80), (6, 360), (99, 360)])
def test_retries_wait_twenty_minutes_doubling_up_to_six_hours(
    calls: Calls, attempt: int, minutes: int
) -> None:
    number = calls.add(attempt=attempt - 1, max_attempts=1000)
    calls.fail(calls.take(), Retry.LATER)

    batch = calls.read(number)
    assert batch.run_after is not None
    assert batch.work_end_date is not None
    waits = (batch.run_after - batch.work_end_date) / timedelta(minutes=1)
    assert 0.89 * minutes < waits < 1.11 * minutes


def test_what_is_to_be_retried_at_once_can_be_claimed_at_once(calls: Calls) -> None:
    calls.add()
    calls.fail(calls.take("S1"), Retry.AT_ONCE)

    assert calls.take("S2").attempt == 2


def test_never_means_never(calls: Calls) -> None:
    number = calls.add()
    calls.fail(calls.take(), Retry.NEVER, error_class="BadParameter", error_text="testSize: 2")

    batch = calls.read(number)
    assert (batch.state, batch.run_after) == ("E", None)
    assert (batch.error_class, batch.error_text) == ("BadParameter", "testSize: 2")
    assert calls.claim() is None


def test_a_batch_that_always_fails_stops_after_its_attempts(calls: Calls) -> None:
    number = calls.add(max_attempts=3)
    for _ in range(3):
        calls.fail(calls.take(), Retry.AT_ONCE)

    assert calls.claim() is None
    assert calls.read(number).run_after is None
    assert [a.attempt for a in calls.attempts(number)] == [3, 2, 1]


def test_a_batch_that_kills_its_hosts_stops_after_its_attempts(calls: Calls) -> None:
    number = calls.add(max_attempts=3)
    for _ in range(3):
        calls.take(lease=-1)
        assert calls(sweeping.sweep)

    assert calls.claim() is None
    assert calls.read(number).error_class == "LeaseExpired"


def test_the_error_is_on_the_row_and_its_traceback_in_the_attempt(calls: Calls) -> None:
    number = calls.add()
    calls.fail(calls.take(), error_text="disk full", traceback="Traceback\n  File ...")

    assert calls.read(number).error_text == "disk full"
    (attempt,) = calls.attempts(number)
    assert attempt.error_text == "disk full\n\nTraceback\n  File ..."
    assert attempt.outcome == "E"


def test_any_error_text_is_taken(calls: Calls) -> None:
    number = calls.add()
    text = "\udcff broken " + "긴" * 500_000 + " end 🏦"

    assert calls.fail(calls.take(), error_class="X" * 300, error_text=text)

    batch = calls.read(number)
    assert batch.error_text is not None
    assert len(batch.error_text) == 100_000
    assert batch.error_text.startswith("? broken")
    assert batch.error_text.endswith("end 🏦")
    assert len(batch.error_class or "") == 100


def test_a_retry_starts_with_a_clean_row(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()
    calls.beat(claim, progress=0.5, note="half")
    calls.fail(claim, Retry.AT_ONCE)
    calls.take()

    batch = calls.read(number)
    assert (batch.error_class, batch.error_text, batch.progress, batch.progress_note) == (None,) * 4
    assert (batch.run_after, batch.work_end_date) == (None, None)


def test_release_gives_the_attempt_back(calls: Calls) -> None:
    number = calls.add(max_attempts=1)
    for fence in (1, 2, 3):
        claim = calls.take()
        assert (claim.attempt, claim.fence) == (1, fence)
        calls.beat(claim, progress=0.5, note="half")
        calls.sql("UPDATE dc_batch SET attempt = 0 WHERE fence = 3")  # an operator was faster
        assert calls(claims.release, claim)
        assert calls(claims.settled, claim) == "I"

    batch = calls.read(number)
    assert (batch.attempt, batch.progress, batch.progress_note) == (0, None, None)
    assert [a.outcome for a in calls.attempts(number)] == ["I", "I", "I"]


def test_what_is_given_back_too_often_in_a_row_for_one_thing_has_failed(calls: Calls) -> None:
    number = calls.add(max_attempts=2)
    states = ""
    for thing in "ABAAA":
        calls(claims.release, calls.take(), thing, f"{thing} is away", at_most=2)
        states += calls.states()

    assert states == "IIIIE"
    batch = calls.read(number)
    assert (batch.error_class, batch.attempt) == ("A", 1)
    assert batch.error_text == "A is away; it was given back 2 times for this"
    assert batch.run_after is not None


@pytest.mark.parametrize("end", ["fail", "release", "sweep"])
def test_after_a_cancel_nothing_is_retried(calls: Calls, end: str) -> None:
    number = calls.add()
    claim = calls.take(lease=-1)
    calls(batches.cancel, number)

    if end == "fail":
        calls.fail(claim, Retry.AT_ONCE)
    elif end == "release":
        assert calls(claims.release, claim)
    else:
        calls(sweeping.sweep)

    batch = calls.read(number)
    assert (batch.state, batch.run_after, batch.cancel_requested_at) == ("E", None, None)
    assert calls.claim() is None
    if end != "fail":  # whose caller names the error
        assert batch.error_class == "Cancelled"


def test_finishing_beats_a_cancel_that_comes_too_late(calls: Calls) -> None:
    number = calls.add()
    claim = calls.take()
    calls(batches.cancel, number)

    assert calls.finish(claim)
    batch = calls.read(number)
    assert (batch.state, batch.cancel_requested_at) == ("C", None)


# The sweep.


def test_a_sweep_ends_what_has_no_lease_and_leaves_the_rest(calls: Calls) -> None:
    dead, alive = calls.add(), calls.add()
    corpse = calls.take(lease=-1)
    calls.take(lease=60)

    assert calls(sweeping.sweep) == [(dead, 1)]
    assert calls(sweeping.sweep) == []

    batch = calls.read(dead)
    assert (batch.state, batch.fence, batch.error_class) == ("E", 2, "LeaseExpired")
    assert batch.error_text == "S1 stopped renewing its lease"
    assert calls.read(alive).state == "U"
    (attempt,) = calls.attempts(dead)
    assert (attempt.outcome, attempt.error_class) == ("E", "LeaseExpired")
    assert attempt.finished_at is not None
    assert not calls.finish(corpse)
    assert calls(claims.settled, corpse) == "E"
    assert calls.take("S2").batch_id == dead


def test_all_that_a_dead_process_held_is_ended_at_once(calls: Calls) -> None:
    held = [calls.add() for _ in range(64)]
    for _ in held:
        calls.take(identity="dead")

    reaped = calls(sweeping.reap, "S1", lambda _: True)

    assert sorted(reaped) == [(batch_id, 1) for batch_id in held]


def test_what_dead_processes_hold_is_ended_whatever_their_lease(calls: Calls) -> None:
    dead, alive, others = calls.add(), calls.add(), calls.add()
    corpse = calls.take(identity="dead")
    calls.take(identity="alive")
    calls.take("S2", identity="dead")

    assert calls(sweeping.reap, "S1", lambda identity: identity == "dead") == [(dead, 1)]

    batch = calls.read(dead)
    assert (batch.state, batch.fence, batch.attempt) == ("E", 2, 1)
    assert (batch.error_class, batch.lease_until) == ("LeaseExpired", None)
    assert [calls.read(each).state for each in (alive, others)] == ["U", "U"]
    (attempt,) = calls.attempts(dead)
    assert (attempt.outcome, attempt.error_text) == ("E", "S1 stopped renewing its lease")
    assert not calls.beat(corpse).owned
    assert not calls.finish(corpse)
    with pytest.raises(LeaseLost):
        calls(claims.hold, corpse)
    assert calls.take("S1").batch_id == dead


def test_a_row_set_to_u_by_hand_is_given_an_hour(calls: Calls) -> None:
    number = calls.add(state="U")

    assert calls(sweeping.sweep) == []
    lease = calls.read(number).lease_until
    assert lease is not None

    calls.sql("UPDATE dc_batch SET lease_until = '2020-01-01 00:00:00'")
    assert calls(sweeping.sweep) == [(number, 0)]
    assert calls.take().fence == 2


def test_a_zombie_does_not_come_back_through_a_row_set_to_u_by_hand(calls: Calls) -> None:
    calls.add()
    zombie = calls.take(lease=-1)
    calls(sweeping.sweep)
    calls.sql("UPDATE dc_batch SET state = 'U'")

    assert not calls.beat(zombie).owned
    assert not calls.finish(zombie)
    assert calls(claims.settled, zombie) is None


@pytest.mark.parametrize("error", [None, Retry.AT_ONCE])
def test_a_cancel_by_sql_of_a_batch_that_waits_is_carried_out(
    calls: Calls, error: Retry | None
) -> None:
    number = calls.add()
    if error is not None:
        calls.fail(calls.take(), error)
    calls.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")

    assert calls.claim() is None
    assert calls.claim(batch_id=number) is None
    assert calls(sweeping.sweep) == []

    batch = calls.read(number)
    assert (batch.state, batch.error_class, batch.run_after) == ("E", "Cancelled", None)
    assert batch.cancel_requested_at is None


@pytest.mark.parametrize("end", [Retry.NEVER, None])
def test_a_cancel_by_sql_of_what_has_ended_does_not_cancel_its_next_run(
    calls: Calls, end: Retry | None
) -> None:
    number = calls.add()
    claim = calls.take()
    if end is None:
        calls.finish(claim)
    else:
        calls.fail(claim, end)
    before = calls.read(number)
    calls.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")
    calls(sweeping.sweep)

    assert calls.read(number) == before
    calls.sql("UPDATE dc_batch SET state = 'I'")
    assert calls.claim() is not None


def test_a_sweep_takes_many_in_portions(calls: Calls) -> None:
    numbers = [calls.add() for _ in range(60)]
    with calls.engine.begin() as connection:
        for _ in numbers:
            claims.claim(connection, Offer(server="S"), identity="i", lease_seconds=-1)

    swept = [number for _ in range(2) for number, _ in calls(sweeping.sweep)]
    assert sorted(swept) == numbers
