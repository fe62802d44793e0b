import pytest
from sqlalchemy import func, insert, select

from storage import housekeeping
from storage.columns import utc_now
from storage.schema import (
    LEFT_BY_BATCHES,
    dc_batch,
    dc_batch_attempt,
    dc_batch_picture,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_ensemble_model,
    dc_model,
    dc_score_band,
)
from tests.calls import Calls

DAY = 86_400


def add(calls, days=100, **columns):
    row = {"mode": "predict", "state": "C", "work_end_date": utc_now(-days * DAY)} | columns
    return calls.add(**row)


def put(calls, table, *rows):
    calls(lambda c: c.execute(insert(table), list(rows)))


def remaining(calls, table=dc_batch):
    query = select(table.c.batch_id).distinct().order_by(table.c.batch_id)
    return list(calls(lambda c: c.scalars(query).all()))


def prune(calls, days=90, **limits):
    """Removed batches and the number of transactions."""
    removed, steps, after = 0, 0, 0
    while after is not None:
        done = calls(housekeeping.prune, days * DAY, after=after, **limits)
        removed, steps, after = removed + done.batches, steps + 1, done.after
        assert steps < 100
    return removed, steps


def model_of(batch_id):
    columns = {
        column.name: "x" for column in dc_model.columns if not column.nullable
    } | dict.fromkeys(("model_no", "model_sub_no", "fence", "threshold", "bytes"), 1)
    del columns["created_at"]
    return columns | {"batch_id": batch_id}


def bands_of(batch_id, number):
    row = {"batch_id": batch_id, "model_no": 1, "model_sub_no": 1, "split": "all"}
    return [row | {"band": band, "n_rows": 1, "mean_score": 0.5} for band in range(number)]


def test_old_completed_batches_go_and_others_stay(calls):
    old = [add(calls), add(calls, days=91)]
    stay = [
        add(calls, days=89),
        add(calls, state="E"),
        add(calls, state="I"),
        add(calls, state="U"),
        add(calls, state="C", work_end_date=None),
    ]

    before = calls(housekeeping.old, 90 * DAY)
    assert (before.removable, before.needed, before.first, before.last) == (2, 0, *old)
    assert prune(calls)[0] == 2
    assert remaining(calls) == stay


def test_what_a_batch_left_goes_with_it(calls):
    old, young = add(calls), add(calls, days=1)
    for batch_id in (old, young):
        attempt = {"batch_id": batch_id, "fence": 1, "attempt": 1, "started_at": utc_now()}
        calls(lambda c, row=attempt: c.execute(insert(dc_batch_attempt).values(row)))
        put(calls, dc_batch_result_t4, {"batch_id": batch_id, "ensemble_no": 1, "split": "valid"})
        picture = {"name": "n", "uri": "u", "sha256": "s", "bytes": 1}
        put(calls, dc_batch_picture, {"batch_id": batch_id, **picture})
        put(calls, dc_score_band, *bands_of(batch_id, 1))

    prune(calls)

    for table in LEFT_BY_BATCHES:
        assert old not in remaining(calls, table)
    assert remaining(calls, dc_batch_attempt) == [young]
    assert remaining(calls, dc_batch_result_t4) == [young]
    assert remaining(calls, dc_batch_picture) == [young]
    assert remaining(calls, dc_score_band) == [young]


@pytest.mark.parametrize(
    "child",
    [
        {"state": "I"},
        {"state": "U"},
        {"state": "E", "run_after": utc_now(600), "attempt": 1},
        {"state": "C", "days": 1},
    ],
    ids=["waiting", "running", "retrying", "younger"],
)
def test_a_batch_on_which_another_builds_stays(calls, child):
    parent, unrelated = add(calls), add(calls)
    other = add(calls, train_batch_id=parent, **child)

    assert calls(housekeeping.old, 90 * DAY).needed == 1
    assert prune(calls)[0] == 1
    assert remaining(calls) == [parent, other]
    assert unrelated not in remaining(calls)


def test_an_old_batch_goes_with_the_old_one_that_built_on_it(calls):
    parent = add(calls)
    add(calls, train_batch_id=parent)

    assert prune(calls)[0] == 2
    assert remaining(calls) == []


def test_batches_with_models_on_lists_or_in_ensembles_stay(calls):
    trained, listed, drawn, free = add(calls), add(calls), add(calls), add(calls)
    put(calls, dc_model, model_of(trained))
    name = {"model_no": 1, "model_sub_no": 1}
    put(calls, dc_candidate_model_list, {"candidate_id": "C", "batch_id": listed, **name})
    member = {"position": 0, "model_id": "m", "threshold": 0.5, "sha256": "s"}
    put(calls, dc_ensemble_model, {"batch_id": 999, "model_batch_id": drawn, **name, **member})

    assert prune(calls)[0] == 1
    assert remaining(calls) == [trained, listed, drawn]
    assert free not in remaining(calls)


def test_many_batches_go_in_many_transactions(calls):
    for _ in range(5):
        add(calls)
    kept = add(calls, days=1)

    assert prune(calls, at_once=2) == (5, 4)
    assert remaining(calls) == [kept]


def test_many_ensembles_go_in_many_transactions(calls):
    first, fat, last = add(calls), add(calls), add(calls)
    put(
        calls,
        dc_batch_result_t4,
        *(
            {"batch_id": fat, "ensemble_no": number, "split": split}
            for number in range(10)
            for split in ("valid", "test")
        ),
    )

    done = calls(housekeeping.prune, 90 * DAY, rows_at_once=8)

    assert (done.batches, done.after) == (1, first)
    rows = select(func.count()).select_from(dc_batch_result_t4)
    assert calls(lambda c: c.scalar(rows)) == 12
    assert remaining(calls) == [fat, last]
    assert prune(calls, rows_at_once=8)[0] == 2
    assert calls(lambda c: c.scalar(rows)) == 0


def test_batches_with_many_score_bands_go_in_many_transactions(calls):
    old = [add(calls) for _ in range(4)]
    for batch_id in old:
        put(calls, dc_score_band, *bands_of(batch_id, 5))

    done = calls(housekeeping.prune, 90 * DAY, rows_at_once=8)

    assert (done.batches, done.after) == (2, old[1])
    assert remaining(calls, dc_score_band) == remaining(calls) == old[2:]
    assert prune(calls, rows_at_once=1) == (2, 3)  # each is more than that
    assert remaining(calls, dc_score_band) == remaining(calls) == []


def test_a_batch_that_somebody_takes_up_again_is_left_alone(mariadb_engine):
    calls = Calls(mariadb_engine)
    ours, theirs = add(calls), add(calls)
    with mariadb_engine.begin() as operator:
        reset = dc_batch.update().where(dc_batch.c.batch_id == theirs).values(state="I")
        operator.execute(reset)
        assert prune(calls)[0] == 1

    assert remaining(calls) == [theirs]
    assert ours not in remaining(calls)


def test_what_deleted_batches_left_goes_unless_somebody_needs_it(calls):
    deleted, listed, drawn_from, built_on, there = (add(calls) for _ in range(5))
    put(calls, dc_model, *(model_of(n) for n in (deleted, listed, drawn_from, built_on, there)))
    candidate = {"candidate_id": "C", "batch_id": listed, "model_no": 1, "model_sub_no": 1}
    put(calls, dc_candidate_model_list, candidate)
    ensemble = add(calls, mode="ensemble")
    member = {"batch_id": ensemble, "position": 0, "model_batch_id": drawn_from}
    member |= {"model_no": 1, "model_sub_no": 1, "model_id": "x", "threshold": 1, "sha256": "x"}
    put(calls, dc_ensemble_model, member)
    add(calls, state="I", train_batch_id=built_on)
    for batch_id in (deleted, listed, drawn_from, built_on):
        calls(lambda c, n=batch_id: c.execute(dc_batch.delete().where(dc_batch.c.batch_id == n)))

    assert calls(housekeeping.prune_deserted, at_once=1).batches == 1
    assert calls(housekeeping.prune_deserted, after=deleted) == housekeeping.Pruned(
        batches=0, after=None
    )
    assert remaining(calls, dc_model) == [listed, drawn_from, built_on, there]


def test_many_ensembles_of_a_deleted_batch_go_in_several_transactions(calls):
    batch_id = add(calls, mode="ensemble")
    put(
        calls,
        dc_batch_result_t4,
        *({"batch_id": batch_id, "ensemble_no": number, "split": "valid"} for number in range(5)),
    )
    calls(lambda c: c.execute(dc_batch.delete().where(dc_batch.c.batch_id == batch_id)))

    steps, after = 0, 0
    while after is not None:
        after = calls(housekeeping.prune_deserted, after=after, rows_at_once=2).after
        steps += 1
    assert steps > 3
    assert remaining(calls, dc_batch_result_t4) == []
