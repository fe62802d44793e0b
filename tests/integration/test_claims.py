"""Which batch is claimed."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from configs.errors import Retry
from storage import candidates, queues, servers, sweeping
from storage.kept import by_others, kept
from storage.offers import HERE, Offer
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


def test_the_three_inserts_of_old_are_claimed_as_they_are(calls: Calls) -> None:
    for statement in LEGACY_INSERTS:
        calls.sql(statement)

    claimed = [calls.claim() for _ in range(4)]

    assert [batch and batch.mode for batch in claimed] == ["train", "predict", "ensemble", None]
    assert claimed[0] is not None
    assert claimed[0].batch_param is not None
    assert '"randomState": "42"' in claimed[0].batch_param


def test_a_claim_says_how_the_row_now_stands(calls: Calls) -> None:
    number = calls.add(batch_desc="신용 점수 🏦")

    batch = calls.claim("S1", lease=60)

    assert batch == calls.read(number)
    assert batch is not None
    assert (batch.state, batch.attempt, batch.fence) == ("U", 1, 1)
    assert batch.serve_server_id == "S1"
    assert batch.batch_desc == "신용 점수 🏦"
    assert batch.work_date is not None
    assert batch.lease_until is not None
    assert abs(batch.lease_until - batch.work_date - timedelta(seconds=60)) < timedelta(seconds=1)
    assert len(batch.claim_id or "") == 32


def test_a_batch_of_number_0_that_is_for_others_is_in_nobodys_way(calls: Calls) -> None:
    numbers = [calls.add(), calls.add()]
    calls.sql(f"UPDATE dc_batch SET batch_id = 0, queue = 'night' WHERE batch_id = {numbers[0]}")

    claimed = [calls.claim() for _ in range(2)]

    assert [batch and batch.batch_id for batch in claimed] == [numbers[1], None]


def test_lower_priority_comes_first_then_the_older_batch(calls: Calls) -> None:
    numbers = [calls.add(priority=p) for p in (100, 50, 100, 50, 32767, -32768)]

    order = [calls.take().batch_id for _ in numbers]

    assert order == [numbers[i] for i in (5, 1, 3, 0, 2, 4)]


def test_what_is_most_urgent_comes_first_however_many_are_older(calls: Calls) -> None:
    older = [calls.add() for _ in range(20)]
    urgent = calls.add(priority=1)
    assert calls.take().batch_id == urgent

    for _ in older:
        calls.fail(calls.take(), Retry.AT_ONCE)
    calls.sql(f"UPDATE dc_batch SET run_after = '2020-01-01 00:00:00' WHERE batch_id = {older[-1]}")
    assert calls.take().batch_id == older[-1]


def test_waiting_batches_come_before_retries_and_retries_by_the_time_they_are_due(
    calls: Calls,
) -> None:
    late, early = calls.add(priority=1), calls.add(priority=2)
    for number, seconds in ((late, 10), (early, 20)):
        claim = calls.take(batch_id=number)
        calls.fail(claim, Retry.AT_ONCE)
        moment = calls.read(number).run_after
        assert moment is not None
        calls.sql(
            "UPDATE dc_batch SET run_after = :t WHERE batch_id = :b",
            t=(moment - timedelta(seconds=seconds)).isoformat(" ", "microseconds"),
            b=number,
        )
    waiting = calls.add(priority=1000)

    assert [calls.take().batch_id for _ in range(3)] == [waiting, early, late]
    assert calls.claim() is None


def test_queues_are_served_in_the_order_given_and_others_not_at_all(calls: Calls) -> None:
    calls.add(queue="night")
    plain = calls.add()
    fast = calls.add(queue="fast", priority=200)

    offer = {"queues": ("fast", "default")}
    assert [calls.take(**offer).batch_id for _ in range(2)] == [fast, plain]
    assert calls.claim(**offer) is None


def test_run_after_keeps_a_waiting_batch_back(calls: Calls) -> None:
    calls.add(run_after=datetime(2999, 1, 1))  # noqa: DTZ001 - UTC, as the column

    assert calls.claim() is None


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
    calls: Calls, needs: dict[str, object], offer: dict[str, object], claimed: bool
) -> None:
    calls.add(**needs)

    assert (calls.claim(**offer) is not None) == claimed


def test_a_batch_that_cannot_run_here_does_not_hide_those_behind_it(calls: Calls) -> None:
    for _ in range(20):
        calls.add(need_tag="gpu", priority=1)
    wanted = calls.add()

    assert calls.take().batch_id == wanted


def test_one_batch_of_a_concurrency_key_runs_at_a_time(calls: Calls) -> None:
    first, second = calls.add(concurrency_key="k"), calls.add(concurrency_key="k")
    other = calls.add(concurrency_key="j")

    claim = calls.take()
    assert claim.batch_id == first
    assert calls.take().batch_id == other
    assert calls.claim() is None
    assert calls.claim(batch_id=second) is None

    calls.finish(claim)
    assert calls.take().batch_id == second


@pytest.mark.parametrize("end", ["finish", "fail", "final"])
def test_a_child_waits_until_its_parent_has_come_to_its_end(calls: Calls, end: str) -> None:
    parent = calls.add()
    child = calls.add(mode="predict", train_batch_id=parent)

    assert calls.claim(batch_id=child) is None
    claim = calls.take()
    assert claim.batch_id == parent
    assert calls.claim() is None

    if end == "finish":
        calls.finish(claim)
    else:
        calls.fail(claim, Retry.LATER if end == "fail" else Retry.NEVER)
    claimed = calls.claim()
    assert (claimed is not None) == (end != "fail")


@pytest.mark.parametrize("end", ["finish", "fail", "final"])
def test_an_ensemble_waits_until_all_of_its_candidates_have_come_to_their_end(
    calls: Calls, end: str
) -> None:
    done, open_ = calls.add(), calls.add()
    calls.finish(calls.take())
    for train in (done, open_, 999):
        calls(candidates.add, "C001", [(train, 1, 1)])
    ensemble = calls.add(mode="ensemble", candidate_id="C001")
    other = calls.add(mode="ensemble", candidate_id="C002")

    assert calls.claim(batch_id=ensemble) is None
    claim = calls.take()
    assert [claim.batch_id, calls.take().batch_id] == [open_, other]
    assert calls.claim() is None

    if end == "finish":
        calls.finish(claim)
    else:
        calls.fail(claim, Retry.LATER if end == "fail" else Retry.NEVER)
    assert (calls.claim() is not None) == (end != "fail")


def test_a_child_of_nobody_or_of_itself_is_claimed_to_be_told_so(calls: Calls) -> None:
    lost = calls.add(mode="predict", train_batch_id=999)
    itself = calls.add(mode="predict")
    calls.sql("UPDATE dc_batch SET train_batch_id = batch_id WHERE batch_id = :b", b=itself)

    drawn = calls.add(mode="ensemble", candidate_id="C001")
    calls(candidates.add, "C001", [(drawn, 1, 1)])

    assert [calls.take().batch_id for _ in range(3)] == [lost, itself, drawn]


def test_paused_servers_and_queues_claim_nothing(calls: Calls) -> None:
    calls.add()
    calls(servers.pause, "S1")
    assert calls.claim("S1") is None
    assert calls.claim("S2") is not None

    calls(servers.resume, "S1")
    calls.add()
    calls(queues.pause, "default")
    assert calls.claim("S1") is None
    assert calls(queues.paused) == ["default"]

    calls(queues.pause, "night")
    calls(queues.resume, "default")
    assert calls(queues.paused) == ["night"]
    assert calls.claim("S1") is not None


def test_one_batch_may_be_claimed_by_number_whatever_its_time_queue_and_needs(calls: Calls) -> None:
    number = calls.add(
        queue="night",
        need_tag="gpu",
        need_mem_mb=10**6,
        run_after=datetime(2999, 1, 1),  # noqa: DTZ001 - UTC, as the column
    )
    calls(queues.pause, "night")
    calls.add()

    claim = calls.take(batch_id=number, free_mb=1)
    assert claim.batch_id == number
    assert calls.claim(batch_id=number) is None

    calls.fail(claim, Retry.LATER)
    assert calls.take(batch_id=number).attempt == 2


@pytest.mark.parametrize("end", [Retry.NEVER, None])
def test_what_has_ended_is_not_claimed_by_number(calls: Calls, end: Retry | None) -> None:
    number = calls.add()
    claim = calls.take()
    if end is None:
        calls.finish(claim)
    else:
        calls.fail(claim, end)

    assert calls.claim(batch_id=number) is None
    assert calls.claim(batch_id=12345) is None


def test_a_retry_with_an_active_twin_does_not_stop_the_queue(calls: Calls) -> None:
    first = calls.add(dedupe_key="d")
    calls.fail(calls.take(), Retry.AT_ONCE)
    twin = calls.add(dedupe_key="d")
    other = calls.add()

    assert [calls.take().batch_id for _ in range(2)] == [twin, other]
    assert calls.claim() is None
    assert calls.claim(batch_id=first) is None
    assert calls(by_others, first) == "its turn: another batch has dedupe_key d"
    assert calls(by_others, other) is None


# Numbers and history.


def test_the_number_of_a_deleted_batch_is_not_given_again(calls: Calls) -> None:
    numbers = [calls.add() for _ in range(3)]
    calls.sql("DELETE FROM dc_batch")

    assert calls.add() > numbers[-1]


def test_an_attempt_that_an_operator_ended_is_closed_by_the_next_claim(calls: Calls) -> None:
    number = calls.add()
    calls.take()
    calls.sql("UPDATE dc_batch SET state = 'I'")
    assert [a.outcome for a in calls.attempts(number)] == [None]
    calls.take()

    latest, before = calls.attempts(number)
    assert (latest.outcome, before.outcome, before.error_class) == (None, "E", "LeaseLost")
    assert before.finished_at is not None


def test_a_batch_inserted_under_the_number_of_a_deleted_one_can_be_claimed(calls: Calls) -> None:
    number = calls.add()
    calls.finish(calls.take("S1"))
    calls.sql("DELETE FROM dc_batch")
    calls.add(batch_id=number)

    assert calls.take("S2").batch_id == number
    assert [a.serve_server_id for a in calls.attempts(number)] == ["S2"]


@pytest.mark.parametrize("odd", [1, "yes", "2026/11/26 10:00"])
def test_times_that_are_none_stop_nobody(sqlite_engine: Engine, odd: object) -> None:
    calls = Calls(sqlite_engine)
    running, lost = (calls.add() and calls.take() for _ in range(2))
    waiting = calls.add(cancel_requested_at=None)
    later = calls.add()
    change = "UPDATE dc_batch SET {} = :odd WHERE batch_id IN ({}, {})"
    calls.sql(change.format("cancel_requested_at", running.batch_id, waiting), odd=odd)
    calls.sql(change.format("run_after", later, later), odd=str(odd))
    calls.sql(f"UPDATE dc_batch SET lease_until = '2020' WHERE batch_id = {lost.batch_id}")

    assert calls(sweeping.sweep) == [(lost.batch_id, lost.fence)]
    assert calls.beat(running).cancel_requested
    assert (calls.read(waiting).state, calls.read(waiting).error_class) == ("E", "Cancelled")
    assert calls.read(later).run_after is not None
    calls(kept, HERE, Offer(server="S1"))


def test_numbers_that_an_operator_has_set_to_the_highest_stop_neither_claims_nor_sweeps(
    mariadb_engine: Engine,
) -> None:
    calls = Calls(mariadb_engine)
    tried, fenced, other = calls.add(attempt=2**15 - 1), calls.add(fence=2**63 - 1), calls.add()

    claimed = calls.take()
    assert (claimed.batch_id, claimed.attempt) == (tried, 2**15 - 1)
    assert calls.take().batch_id == other
    assert calls.claim() is None
    calls.fail(claimed, Retry.AT_ONCE)
    assert calls.read(tried).run_after is None
    assert calls.read(fenced).state == "I"

    calls.sql("UPDATE dc_batch SET state = 'U', lease_until = '2000-01-01'")
    assert other in [number for number, _ in calls(sweeping.sweep)]
    assert calls.read(fenced).state == "U"
