"""What a claim is, on both databases: who gets which batch, and whose words count."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from configs.errors import LeaseLost, Retry
from storage import batches, candidates, claims, queues, servers, sweeping
from storage.kept import kept
from storage.obstacles import HERE
from storage.records import Claim, Offer
from tests.calls import Calls

LEGACY_INSERTS = (
    """INSERT INTO dc_batch (batch_desc, batch_memo, batch_param, mode, dataset_group,
       dataset_version, model_group, state)
       VALUES ('credit model training', 'XGBoost group', '{"testSize"\\: "0.3",
       "validationSize"\\: "0.2", "randomState"\\: "42"}', 'train', 'DATA001', 1, 'M100', 'I')""",
    """INSERT INTO dc_batch (batch_desc, train_batch_id, mode, dataset_group, dataset_version,
       state) VALUES ('credit prediction', 123, 'predict', 'DATA001', 1, 'I')""",
    """INSERT INTO dc_batch (batch_desc, candidate_id, mode, state)
       VALUES ('ensemble credit scoring', 'C001', 'ensemble', 'I')""",
)


@pytest.fixture
def desk(engine: Engine) -> Calls:
    return Calls(engine)


def fresh(claim: Claim) -> Claim:
    return Claim(batch_id=claim.batch_id, claim_id="0" * 32, fence=claim.fence, attempt=1)


# Which batch is claimed.


def test_the_three_inserts_of_old_are_claimed_as_they_are(desk: Calls) -> None:
    for statement in LEGACY_INSERTS:
        desk.sql(statement)

    claimed = [desk.claim() for _ in range(4)]

    assert [batch and batch.mode for batch in claimed] == ["train", "predict", "ensemble", None]
    assert claimed[0] is not None
    assert claimed[0].batch_param is not None
    assert '"randomState": "42"' in claimed[0].batch_param


def test_a_claim_says_how_the_row_now_stands(desk: Calls) -> None:
    number = desk.add(batch_desc="신용 점수 🏦")

    batch = desk.claim("S1", lease=60)

    assert batch == desk.read(number)
    assert batch is not None
    assert (batch.state, batch.attempt, batch.fence) == ("U", 1, 1)
    assert batch.serve_server_id == "S1"
    assert batch.batch_desc == "신용 점수 🏦"
    assert batch.work_date is not None
    assert batch.lease_until is not None
    assert abs(batch.lease_until - batch.work_date - timedelta(seconds=60)) < timedelta(seconds=1)
    assert len(batch.claim_id or "") == 32


def test_a_batch_of_number_0_that_is_for_others_is_in_nobodys_way(desk: Calls) -> None:
    numbers = [desk.add(), desk.add()]
    desk.sql(f"UPDATE dc_batch SET batch_id = 0, queue = 'night' WHERE batch_id = {numbers[0]}")

    claimed = [desk.claim() for _ in range(2)]

    assert [batch and batch.batch_id for batch in claimed] == [numbers[1], None]


def test_lower_priority_comes_first_then_the_older_batch(desk: Calls) -> None:
    numbers = [desk.add(priority=p) for p in (100, 50, 100, 50, 32767, -32768)]

    order = [desk.take().batch_id for _ in numbers]

    assert order == [numbers[i] for i in (5, 1, 3, 0, 2, 4)]


def test_what_is_most_urgent_comes_first_however_many_are_older(desk: Calls) -> None:
    older = [desk.add() for _ in range(20)]
    urgent = desk.add(priority=1)
    assert desk.take().batch_id == urgent

    for _ in older:
        desk.fail(desk.take(), Retry.AT_ONCE)
    desk.sql(f"UPDATE dc_batch SET run_after = '2020-01-01 00:00:00' WHERE batch_id = {older[-1]}")
    assert desk.take().batch_id == older[-1]


def test_waiting_batches_come_before_retries_and_retries_by_the_time_they_are_due(
    desk: Calls,
) -> None:
    late, early = desk.add(priority=1), desk.add(priority=2)
    for number, seconds in ((late, 10), (early, 20)):
        claim = desk.take(batch_id=number)
        desk.fail(claim, Retry.AT_ONCE)
        moment = desk.read(number).run_after
        assert moment is not None
        desk.sql(
            "UPDATE dc_batch SET run_after = :t WHERE batch_id = :b",
            t=(moment - timedelta(seconds=seconds)).isoformat(" ", "microseconds"),
            b=number,
        )
    waiting = desk.add(priority=1000)

    assert [desk.take().batch_id for _ in range(3)] == [waiting, early, late]
    assert desk.claim() is None


def test_queues_are_served_in_the_order_given_and_others_not_at_all(desk: Calls) -> None:
    desk.add(queue="night")
    plain = desk.add()
    fast = desk.add(queue="fast", priority=200)

    offer = {"queues": ("fast", "default")}
    assert [desk.take(**offer).batch_id for _ in range(2)] == [fast, plain]
    assert desk.claim(**offer) is None


def test_run_after_keeps_a_waiting_batch_back(desk: Calls) -> None:
    desk.add(run_after=datetime(2999, 1, 1))  # noqa: DTZ001 - UTC, as the column

    assert desk.claim() is None


@pytest.mark.parametrize(
    ("needs", "offer", "claimed"),
    [
        ({"need_tag": "gpu"}, {}, False),
        ({"need_tag": "gpu"}, {"tags": ("big", "gpu")}, True),
        ({"need_tag": "gpu"}, {"tags": ("한국",)}, False),
        ({"need_tag": "GPU"}, {"tags": ("gpu",)}, False),
        ({}, {"tags": ("gpu",)}, True),
        ({"need_mem_mb": 1000}, {"free_mb": 999}, False),
        ({"need_mem_mb": 1000}, {"free_mb": 1000}, True),
        ({"need_mem_mb": 1000}, {}, True),
        ({}, {"free_mb": 0}, True),
    ],
)
def test_needs_must_be_met(
    desk: Calls, needs: dict[str, object], offer: dict[str, object], claimed: bool
) -> None:
    desk.add(**needs)

    assert (desk.claim(**offer) is not None) == claimed


def test_a_batch_that_cannot_run_here_does_not_hide_those_behind_it(desk: Calls) -> None:
    for _ in range(20):
        desk.add(need_tag="gpu", priority=1)
    wanted = desk.add()

    assert desk.take().batch_id == wanted


def test_one_batch_of_a_concurrency_key_runs_at_a_time(desk: Calls) -> None:
    first, second = desk.add(concurrency_key="k"), desk.add(concurrency_key="k")
    other = desk.add(concurrency_key="j")

    claim = desk.take()
    assert claim.batch_id == first
    assert desk.take().batch_id == other
    assert desk.claim() is None
    assert desk.claim(batch_id=second) is None

    desk.finish(claim)
    assert desk.take().batch_id == second


@pytest.mark.parametrize("end", ["finish", "fail", "final"])
def test_a_child_waits_until_its_parent_has_come_to_its_end(desk: Calls, end: str) -> None:
    parent = desk.add()
    child = desk.add(mode="predict", train_batch_id=parent)

    assert desk.claim(batch_id=child) is None
    claim = desk.take()
    assert claim.batch_id == parent
    assert desk.claim() is None

    if end == "finish":
        desk.finish(claim)
    else:
        desk.fail(claim, Retry.LATER if end == "fail" else Retry.NEVER)
    claimed = desk.claim()
    assert (claimed is not None) == (end != "fail")


@pytest.mark.parametrize("end", ["finish", "fail", "final"])
def test_an_ensemble_waits_until_all_of_its_candidates_have_come_to_their_end(
    desk: Calls, end: str
) -> None:
    done, open_ = desk.add(), desk.add()
    desk.finish(desk.take())
    for train in (done, open_, 999):
        desk(candidates.add, "C001", [(train, 1, 1)])
    ensemble = desk.add(mode="ensemble", candidate_id="C001")
    other = desk.add(mode="ensemble", candidate_id="C002")

    assert desk.claim(batch_id=ensemble) is None
    claim = desk.take()
    assert [claim.batch_id, desk.take().batch_id] == [open_, other]
    assert desk.claim() is None

    if end == "finish":
        desk.finish(claim)
    else:
        desk.fail(claim, Retry.LATER if end == "fail" else Retry.NEVER)
    assert (desk.claim() is not None) == (end != "fail")


def test_a_child_of_nobody_or_of_itself_is_claimed_to_be_told_so(desk: Calls) -> None:
    lost = desk.add(mode="predict", train_batch_id=999)
    itself = desk.add(mode="predict")
    desk.sql("UPDATE dc_batch SET train_batch_id = batch_id WHERE batch_id = :b", b=itself)

    assert [desk.take().batch_id for _ in range(2)] == [lost, itself]


def test_paused_servers_and_queues_claim_nothing(desk: Calls) -> None:
    desk.add()
    desk(servers.pause, "S1")
    assert desk.claim("S1") is None
    assert desk.claim("S2") is not None

    desk(servers.resume, "S1")
    desk.add()
    desk(queues.pause, "default")
    assert desk.claim("S1") is None
    assert desk(queues.paused) == ["default"]

    desk(queues.resume, "default")
    assert desk.claim("S1") is not None


def test_one_batch_may_be_claimed_by_number_whatever_its_time_queue_and_needs(desk: Calls) -> None:
    number = desk.add(
        queue="night",
        need_tag="gpu",
        need_mem_mb=10**6,
        run_after=datetime(2999, 1, 1),  # noqa: DTZ001 - UTC, as the column
    )
    desk(queues.pause, "night")
    desk.add()

    claim = desk.take(batch_id=number, free_mb=1)
    assert claim.batch_id == number
    assert desk.claim(batch_id=number) is None

    desk.fail(claim, Retry.LATER)
    assert desk.take(batch_id=number).attempt == 2


@pytest.mark.parametrize("end", [Retry.NEVER, None])
def test_what_has_ended_is_not_claimed_by_number(desk: Calls, end: Retry | None) -> None:
    number = desk.add()
    claim = desk.take()
    if end is None:
        desk.finish(claim)
    else:
        desk.fail(claim, end)

    assert desk.claim(batch_id=number) is None
    assert desk.claim(batch_id=12345) is None


def test_a_retry_with_an_active_twin_does_not_stop_the_queue(desk: Calls) -> None:
    first = desk.add(dedupe_key="d")
    desk.fail(desk.take(), Retry.AT_ONCE)
    twin = desk.add(dedupe_key="d")
    other = desk.add()

    assert [desk.take().batch_id for _ in range(2)] == [twin, other]
    assert desk.claim() is None
    assert desk.claim(batch_id=first) is None


# Whose words count.


def test_every_claim_has_an_id_of_its_own_and_a_higher_fence(desk: Calls) -> None:
    desk.add(max_attempts=9)
    seen = []
    for _ in range(4):
        seen.append(desk.take())
        desk.fail(seen[-1], Retry.AT_ONCE)

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
def test_a_run_that_lost_its_batch_changes_nothing(desk: Calls, theft: str) -> None:
    desk.add()
    claim = desk.take()
    desk.sql(theft)
    before = desk.value("SELECT COUNT(*) FROM dc_batch"), desk.states()

    assert desk.beat(claim) == claims.Beat(owned=False, cancel_requested=False)
    assert not desk.finish(claim)
    assert not desk.fail(claim)
    assert not desk(claims.release, claim)
    with pytest.raises(LeaseLost, match="no longer ours"):
        desk(claims.hold, claim)

    assert (desk.value("SELECT COUNT(*) FROM dc_batch"), desk.states()) == before


def test_another_claim_id_is_nobody(desk: Calls) -> None:
    desk.add()
    stranger = fresh(desk.take())

    assert not desk.beat(stranger).owned
    assert not desk.finish(stranger)
    assert desk(claims.settled, stranger) is None
    assert desk.states() == "U"


def test_hold_lets_the_owner_through_as_often_as_it_likes(desk: Calls) -> None:
    desk.add()
    claim = desk.take()

    for _ in range(2):
        desk(claims.hold, claim)

    assert desk.states() == "U"
    assert desk.finish(claim)


def test_a_beat_renews_the_lease_and_keeps_progress_that_is_not_given(desk: Calls) -> None:
    number = desk.add()
    claim = desk.take(lease=1)

    assert desk.beat(claim, lease_seconds=500, progress=0.25, note="3 of 12").owned
    desk.beat(claim, lease_seconds=500)

    batch = desk.read(number)
    assert (batch.progress, batch.progress_note) == (0.25, "3 of 12")
    assert batch.lease_until is not None
    assert batch.work_date is not None
    assert batch.lease_until - batch.work_date > timedelta(seconds=400)


def test_identical_beats_are_all_owned(desk: Calls) -> None:
    desk.add()
    claim = desk.take()
    with desk.engine.begin() as connection:
        beats = [
            claims.beat(connection, claim, lease_seconds=60, progress=0.5, note="same")
            for _ in range(20)
        ]
    assert all(beat.owned for beat in beats)


def test_a_late_beat_still_renews_a_lease_that_nobody_swept(desk: Calls) -> None:
    desk.add()
    claim = desk.take(lease=-100)

    assert desk.beat(claim).owned
    assert desk(sweeping.sweep) == []


def test_progress_and_note_are_cut_to_what_the_row_takes(desk: Calls) -> None:
    number = desk.add()
    claim = desk.take()

    desk.beat(claim, progress=7.5, note="가" * 300)
    batch = desk.read(number)

    assert batch.progress == 1.0
    assert len(batch.progress_note or "") == 255


def test_a_beat_tells_of_a_cancel(desk: Calls) -> None:
    desk.add()
    claim = desk.take()
    assert not desk.beat(claim).cancel_requested

    desk.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")

    assert desk.beat(claim) == claims.Beat(owned=True, cancel_requested=True)


# How a claim ends.


def test_finish_completes_once(desk: Calls) -> None:
    number = desk.add()
    claim = desk.take()

    assert desk(claims.settled, claim) == "U"
    assert [desk.finish(claim), desk.finish(claim)] == [True, False]
    assert desk(claims.settled, claim) == "C"

    batch = desk.read(number)
    assert (batch.state, batch.progress, batch.lease_until) == ("C", 1.0, None)
    assert batch.work_end_date is not None
    (attempt,) = desk.attempts(number)
    assert (attempt.outcome, attempt.fence, attempt.serve_server_id) == ("C", 1, "S1")
    assert attempt.identity == "S1:1:b:0"
    assert attempt.started_at == batch.work_date
    assert attempt.finished_at is not None


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 20), (2, 40), (3, 80), (6, 360), (99, 360)])
def test_retries_wait_twenty_minutes_doubling_up_to_six_hours(
    desk: Calls, attempt: int, minutes: int
) -> None:
    number = desk.add(attempt=attempt - 1, max_attempts=1000)
    desk.fail(desk.take(), Retry.LATER)

    batch = desk.read(number)
    assert batch.run_after is not None
    assert batch.work_end_date is not None
    waits = (batch.run_after - batch.work_end_date) / timedelta(minutes=1)
    assert 0.89 * minutes < waits < 1.11 * minutes


def test_what_is_to_be_retried_at_once_can_be_claimed_at_once(desk: Calls) -> None:
    desk.add()
    desk.fail(desk.take("S1"), Retry.AT_ONCE)

    assert desk.take("S2").attempt == 2


def test_never_means_never(desk: Calls) -> None:
    number = desk.add()
    desk.fail(desk.take(), Retry.NEVER, error_class="BadParameter", error_text="testSize: 2")

    batch = desk.read(number)
    assert (batch.state, batch.run_after) == ("E", None)
    assert (batch.error_class, batch.error_text) == ("BadParameter", "testSize: 2")
    assert desk.claim() is None


def test_a_batch_that_always_fails_stops_after_its_attempts(desk: Calls) -> None:
    number = desk.add(max_attempts=3)
    for _ in range(3):
        desk.fail(desk.take(), Retry.AT_ONCE)

    assert desk.claim() is None
    assert desk.read(number).run_after is None
    assert [a.attempt for a in desk.attempts(number)] == [3, 2, 1]


def test_a_batch_that_kills_its_hosts_stops_after_its_attempts(desk: Calls) -> None:
    number = desk.add(max_attempts=3)
    for _ in range(3):
        desk.take(lease=-1)
        assert desk(sweeping.sweep)

    assert desk.claim() is None
    assert desk.read(number).error_class == "LeaseExpired"


def test_the_error_is_on_the_row_and_its_traceback_in_the_attempt(desk: Calls) -> None:
    number = desk.add()
    desk.fail(desk.take(), error_text="disk full", traceback="Traceback\n  File ...")

    assert desk.read(number).error_text == "disk full"
    (attempt,) = desk.attempts(number)
    assert attempt.error_text == "disk full\n\nTraceback\n  File ..."
    assert attempt.outcome == "E"


def test_any_error_text_is_taken(desk: Calls) -> None:
    number = desk.add()
    text = "\udcff broken " + "긴" * 500_000 + " end 🏦"

    assert desk.fail(desk.take(), error_class="X" * 300, error_text=text)

    batch = desk.read(number)
    assert batch.error_text is not None
    assert len(batch.error_text) == 100_000
    assert batch.error_text.startswith("? broken")
    assert batch.error_text.endswith("end 🏦")
    assert len(batch.error_class or "") == 100


def test_a_retry_starts_with_a_clean_row(desk: Calls) -> None:
    number = desk.add()
    claim = desk.take()
    desk.beat(claim, progress=0.5, note="half")
    desk.fail(claim, Retry.AT_ONCE)
    desk.take()

    batch = desk.read(number)
    assert (batch.error_class, batch.error_text, batch.progress, batch.progress_note) == (None,) * 4
    assert (batch.run_after, batch.work_end_date) == (None, None)


def test_release_gives_the_attempt_back(desk: Calls) -> None:
    number = desk.add(max_attempts=1)
    for fence in (1, 2, 3):
        claim = desk.take()
        assert (claim.attempt, claim.fence) == (1, fence)
        assert desk(claims.release, claim)
        assert desk(claims.settled, claim) == "I"

    assert desk.read(number).attempt == 0
    assert [a.outcome for a in desk.attempts(number)] == ["I", "I", "I"]


@pytest.mark.parametrize("end", ["fail", "release", "sweep"])
def test_after_a_cancel_nothing_is_retried(desk: Calls, end: str) -> None:
    number = desk.add()
    claim = desk.take(lease=-1)
    desk(batches.cancel, number)

    if end == "fail":
        desk.fail(claim, Retry.AT_ONCE)
    elif end == "release":
        assert desk(claims.release, claim)
    else:
        desk(sweeping.sweep)

    batch = desk.read(number)
    assert (batch.state, batch.run_after, batch.cancel_requested_at) == ("E", None, None)
    assert desk.claim() is None
    if end != "fail":  # whose caller names the error
        assert batch.error_class == "Cancelled"


def test_finishing_beats_a_cancel_that_comes_too_late(desk: Calls) -> None:
    number = desk.add()
    claim = desk.take()
    desk(batches.cancel, number)

    assert desk.finish(claim)
    batch = desk.read(number)
    assert (batch.state, batch.cancel_requested_at) == ("C", None)


# The sweep.


def test_a_sweep_ends_what_has_no_lease_and_leaves_the_rest(desk: Calls) -> None:
    dead, alive = desk.add(), desk.add()
    corpse = desk.take(lease=-1)
    desk.take(lease=60)

    assert desk(sweeping.sweep) == [(dead, 1)]
    assert desk(sweeping.sweep) == []

    batch = desk.read(dead)
    assert (batch.state, batch.fence, batch.error_class) == ("E", 2, "LeaseExpired")
    assert batch.error_text == "S1 stopped renewing its lease"
    assert desk.read(alive).state == "U"
    (attempt,) = desk.attempts(dead)
    assert (attempt.outcome, attempt.error_class) == ("E", "LeaseExpired")
    assert attempt.finished_at is not None
    assert not desk.finish(corpse)
    assert desk.take("S2").batch_id == dead


def test_what_dead_processes_hold_is_ended_whatever_their_lease(desk: Calls) -> None:
    dead, alive, others = desk.add(), desk.add(), desk.add()
    corpse = desk.take(identity="dead")
    desk.take(identity="alive")
    desk.take("S2", identity="dead")

    assert desk(sweeping.reap, "S1", lambda identity: identity == "dead") == [(dead, 1)]

    batch = desk.read(dead)
    assert (batch.state, batch.fence, batch.attempt) == ("E", 2, 1)
    assert (batch.error_class, batch.lease_until) == ("LeaseExpired", None)
    assert [desk.read(each).state for each in (alive, others)] == ["U", "U"]
    (attempt,) = desk.attempts(dead)
    assert (attempt.outcome, attempt.error_text) == ("E", "S1 stopped renewing its lease")
    assert not desk.beat(corpse).owned
    assert not desk.finish(corpse)
    with pytest.raises(LeaseLost):
        desk(claims.hold, corpse)
    assert desk.take("S1").batch_id == dead


def test_a_row_set_to_u_by_hand_is_given_an_hour(desk: Calls) -> None:
    number = desk.add(state="U")

    assert desk(sweeping.sweep) == []
    lease = desk.read(number).lease_until
    assert lease is not None

    desk.sql("UPDATE dc_batch SET lease_until = '2020-01-01 00:00:00'")
    assert desk(sweeping.sweep) == [(number, 0)]
    assert desk.take().fence == 2


def test_a_zombie_does_not_come_back_through_a_row_set_to_u_by_hand(desk: Calls) -> None:
    desk.add()
    zombie = desk.take(lease=-1)
    desk(sweeping.sweep)
    desk.sql("UPDATE dc_batch SET state = 'U'")

    assert not desk.beat(zombie).owned
    assert not desk.finish(zombie)


@pytest.mark.parametrize("error", [None, Retry.AT_ONCE])
def test_a_cancel_by_sql_of_a_batch_that_waits_is_carried_out(
    desk: Calls, error: Retry | None
) -> None:
    number = desk.add()
    if error is not None:
        desk.fail(desk.take(), error)
    desk.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")

    assert desk.claim() is None
    assert desk.claim(batch_id=number) is None
    assert desk(sweeping.sweep) == []

    batch = desk.read(number)
    assert (batch.state, batch.error_class, batch.run_after) == ("E", "Cancelled", None)
    assert batch.cancel_requested_at is None


@pytest.mark.parametrize("end", [Retry.NEVER, None])
def test_a_cancel_by_sql_of_what_has_ended_does_not_cancel_its_next_run(
    desk: Calls, end: Retry | None
) -> None:
    number = desk.add()
    claim = desk.take()
    if end is None:
        desk.finish(claim)
    else:
        desk.fail(claim, end)
    before = desk.read(number)
    desk.sql("UPDATE dc_batch SET cancel_requested_at = '2026-01-01 00:00:00'")
    desk(sweeping.sweep)

    assert desk.read(number) == before
    desk.sql("UPDATE dc_batch SET state = 'I'")
    assert desk.claim() is not None


def test_a_sweep_takes_many_in_portions(desk: Calls) -> None:
    numbers = [desk.add() for _ in range(60)]
    with desk.engine.begin() as connection:
        for _ in numbers:
            claims.claim(connection, Offer(server="S"), identity="i", lease_seconds=-1)

    swept = [number for _ in range(2) for number, _ in desk(sweeping.sweep)]
    assert sorted(swept) == numbers


# Numbers and history.


def test_the_number_of_a_deleted_batch_is_not_given_again(desk: Calls) -> None:
    numbers = [desk.add() for _ in range(3)]
    desk.sql("DELETE FROM dc_batch")

    assert desk.add() > numbers[-1]


def test_an_attempt_that_an_operator_ended_is_closed_by_the_next_claim(desk: Calls) -> None:
    number = desk.add()
    desk.take()
    desk.sql("UPDATE dc_batch SET state = 'I'")
    assert [a.outcome for a in desk.attempts(number)] == [None]
    desk.take()

    latest, before = desk.attempts(number)
    assert (latest.outcome, before.outcome, before.error_class) == (None, "E", "LeaseLost")
    assert before.finished_at is not None


def test_a_batch_inserted_under_the_number_of_a_deleted_one_can_be_claimed(desk: Calls) -> None:
    number = desk.add()
    desk.finish(desk.take("S1"))
    desk.sql("DELETE FROM dc_batch")
    desk.add(batch_id=number)

    assert desk.take("S2").batch_id == number
    assert [a.serve_server_id for a in desk.attempts(number)] == ["S2"]


@pytest.mark.parametrize("odd", [1, "yes", "2026/11/26 10:00"])
def test_times_that_are_none_stop_nobody(sqlite_engine: Engine, odd: object) -> None:
    desk = Calls(sqlite_engine)
    running, lost = (desk.add() and desk.take() for _ in range(2))
    waiting = desk.add(cancel_requested_at=None)
    later = desk.add()
    change = "UPDATE dc_batch SET {} = :odd WHERE batch_id IN ({}, {})"
    desk.sql(change.format("cancel_requested_at", running.batch_id, waiting), odd=odd)
    desk.sql(change.format("run_after", later, later), odd=str(odd))
    desk.sql(f"UPDATE dc_batch SET lease_until = '2020' WHERE batch_id = {lost.batch_id}")

    assert desk(sweeping.sweep) == [(lost.batch_id, lost.fence)]
    assert desk.beat(running).cancel_requested
    assert (desk.read(waiting).state, desk.read(waiting).error_class) == ("E", "Cancelled")
    assert desk.read(later).run_after is not None
    desk(kept, HERE, Offer(server="S1"))


def test_numbers_that_an_operator_has_set_to_the_highest_stop_no_claim(
    mariadb_engine: Engine,
) -> None:
    desk = Calls(mariadb_engine)
    tried, fenced, other = desk.add(attempt=2**15 - 1), desk.add(fence=2**63 - 1), desk.add()

    claimed = desk.take()
    assert (claimed.batch_id, claimed.attempt) == (tried, 2**15 - 1)
    assert desk.take().batch_id == other
    assert desk.claim() is None
    desk.fail(claimed, Retry.AT_ONCE)
    assert desk.read(tried).run_after is None
    assert desk.read(fenced).state == "I"
