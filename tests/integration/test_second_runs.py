"""What a second run of a train or predict batch does again, and what it leaves."""

import pytest
from sqlalchemy import text

from configs.errors import BadData
from pipeline import fingerprints
from storage.engine import transaction
from storage.schema import dc_score_band
from tests.desk import XGB, Desk, applicants, figures


def test_a_second_run_of_a_batch_trains_only_what_is_missing(ready: Desk) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 7}'))
    batch_id = ready.train()
    before, bands = ready.trained(batch_id), ready.rows(dc_score_band, batch_id)
    statements = [
        "DELETE FROM dc_model WHERE model_no = 2",
        "DELETE FROM dc_batch_result WHERE model_no = 2",
        "UPDATE dc_batch SET state = 'I'",
    ]
    for statement in statements:
        transaction(ready.engine, lambda c, s=statement: c.execute(text(s)))

    assert ready.run(batch_id) == "2 of 2 models trained; 1 of them in an earlier run"

    after = ready.trained(batch_id)
    assert [row.fence for row in after] == [1, 2]
    assert [row.sha256 for row in after] == [row.sha256 for row in before]
    assert ready.rows(dc_score_band, batch_id) == bands


def test_what_a_batch_asks_for_no_more_leaves_no_bands_of_its_scores(ready: Desk) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 7}'))
    batch_id = ready.train()
    assert {row.model_no for row in ready.rows(dc_score_band, batch_id)} == {1, 2}

    ready.sql("""UPDATE dc_batch SET state = 'I', batch_param = '{"models": [2]}'""")
    ready.run(batch_id)

    assert {row.model_no for row in ready.rows(dc_score_band, batch_id)} == {2}


LOSSES = {
    "model": lambda desk, model: desk.store.delete(model.uri),
    "scores": lambda desk, model: desk.store.delete(model.scores_uri),
    "row": lambda desk, model: transaction(
        desk.engine, lambda c: c.execute(text("DELETE FROM dc_model WHERE model_no = 1"))
    ),
    "metrics of a split": lambda desk, model: transaction(
        desk.engine,
        lambda c: c.execute(
            text("DELETE FROM dc_batch_result WHERE model_no = 1 AND split = 'test'")
        ),
    ),
}


@pytest.mark.parametrize("lost", LOSSES)
def test_a_second_run_trains_again_what_was_lost(ready: Desk, lost: str) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 7}'))
    batch_id = ready.train()
    before = ready.trained(batch_id)
    LOSSES[lost](ready, before[0])
    ready.sql("UPDATE dc_batch SET state = 'I'")

    assert "1 of them in an earlier run" in ready.run(batch_id)

    after = ready.trained(batch_id)
    assert [(row.model_no, row.fence) for row in after] == [(1, 2), (2, 1)]
    assert after[0].sha256 == before[0].sha256
    assert after[0].scores_sha256 == before[0].scores_sha256
    predicted = ready.add(mode="predict", train_batch_id=batch_id)
    assert ready.run(predicted) == "2 of 2 models applied"


def test_a_second_run_scores_again_what_was_lost(ready: Desk) -> None:
    predicted = ready.add(mode="predict", train_batch_id=ready.train())
    ready.run(predicted)
    (before,) = ready.results(predicted)
    ready.store.delete(before.scores_uri)
    ready.sql("UPDATE dc_batch SET state = 'I'")
    ready.run(predicted - 1)

    assert ready.run(predicted) == "1 of 1 model applied"

    (after,) = ready.results(predicted)
    assert (after.fence, after.scores_sha256) == (2, before.scores_sha256)


BY_TIME = '{"splitBy": "time"}'  # which no seed changes
TRAINED_BY = {
    "seed": """UPDATE dc_batch SET batch_param = '{"splitBy": "time", "randomState": 1}'""",
    "threshold": """UPDATE dc_batch SET batch_param = '{"splitBy": "time", "threshold": 0.4}'""",
    "split": """UPDATE dc_batch SET batch_param = '{"splitBy": "time", "testSize": 0.4}'""",
    "variant": """UPDATE dc_model_list SET model_param = '{"n_estimators": 6}'""",
    "kind": "UPDATE dc_model_list SET model_id = 'ML-RF'",
    "preparation": """UPDATE dc_dataset_column SET missing_values = '["0"]'
        WHERE column_name = 'debt'""",
    "libraries": "",
}


@pytest.mark.parametrize("changed", TRAINED_BY)
def test_whatever_a_models_numbers_come_from_trains_it_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    frame = applicants()
    desk.load(frame.assign(debt=frame["debt"].round()), time_column="id")
    desk.models(XGB)
    batch_id = desk.train(BY_TIME)
    desk.sql("UPDATE dc_batch SET state = 'I'")
    assert "1 of them in an earlier run" in desk.run(batch_id)

    if statement := TRAINED_BY[changed]:
        desk.sql(statement)
    else:
        monkeypatch.setattr("pipeline.modes.train.versions", lambda: {"xgboost": "0"})
    desk.sql("UPDATE dc_batch SET state = 'I'")

    assert desk.run(batch_id) == "1 of 1 model trained"
    assert [row.fence for row in desk.trained(batch_id)] == [3]


APPLIED_BY = {
    "threshold": "UPDATE dc_model SET threshold = 0.7",
    "rows": "UPDATE dc_batch SET dataset_version = 3 WHERE mode = 'predict'",
    "preparation": """UPDATE dc_dataset_column SET missing_values = '["1"]'
        WHERE column_name = 'debt' AND dataset_version = 2""",
    "labels": """UPDATE dc_dataset_column SET role = 'sensitive'
        WHERE column_name = 'y' AND dataset_version = 2""",
    "model": """UPDATE dc_model_list SET model_param = '{"n_estimators": 6}'""",
}


@pytest.mark.parametrize("changed", APPLIED_BY)
def test_whatever_a_predictions_numbers_come_from_scores_again(ready: Desk, changed: str) -> None:
    for seed in (1, 2):
        other = applicants(120, seed=seed)
        ready.load(other.assign(debt=other["debt"].round()), id_column="id")
    trained = ready.train()
    predicted = ready.add(mode="predict", train_batch_id=trained, dataset_version=2)
    ready.run(predicted)
    (before,) = ready.results(predicted)

    ready.sql(APPLIED_BY[changed])
    ready.sql("UPDATE dc_batch SET state = 'I'")
    ready.run(trained)

    summary, *told = ready.run(predicted).split("; ")
    assert summary == "1 of 1 model applied"
    assert bool(told) == (changed == "preparation")  # what now is missing never was in training
    (after,) = ready.results(predicted)
    assert after.fence == 2
    assert figures(after) != figures(before)


def test_a_deepcredit_that_computes_otherwise_does_everything_again(
    ready: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = ready.train()
    predicted = ready.train(mode="predict", train_batch_id=trained)
    for revision, said in ((1, "in an earlier run"), (2, ""), (2, "in an earlier run")):
        monkeypatch.setattr(fingerprints, "REVISION", revision)
        ready.sql("UPDATE dc_batch SET state = 'I'")

        kept = f"; 1 of them {said}" if said else ""
        assert ready.run(trained) == f"1 of 1 model trained{kept}"
        assert ready.run(predicted) == f"1 of 1 model applied{kept}"


def test_the_other_value_as_positive_trains_everything_again(desk: Desk) -> None:
    desk.load_either_way()
    desk.models(XGB)
    batch_id = desk.train()
    (first,) = desk.trained(batch_id)
    change = text("UPDATE dc_batch SET state = 'I', dataset_version = 2")
    transaction(desk.engine, lambda connection: connection.execute(change))

    assert desk.run(batch_id) == "1 of 1 model trained"

    (second,) = desk.trained(batch_id)
    assert second.split_id != first.split_id
    rows = desk.results(batch_id)
    assert {row.fence for row in rows} == {2}
    # Most applicants are good, so most are positive now.
    assert all(row.fn + row.tp > row.tn + row.fp for row in rows)


def test_a_known_split_with_other_labels_is_refused(ready: Desk) -> None:
    ready.train()
    change = text("UPDATE dc_split SET sha256 = :other")
    transaction(ready.engine, lambda connection: connection.execute(change, {"other": "0" * 64}))

    with pytest.raises(BadData, match="other rows or labels"):
        ready.train()
