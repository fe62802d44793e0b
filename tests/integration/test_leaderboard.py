from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert

from configs.errors import BadParameter, NotFound
from configs.metric_names import VOTE_METRICS
from storage import leaderboard, listing
from storage.schema import dc_batch, dc_batch_method, dc_batch_result, dc_batch_result_t4, dc_model
from storage.views import VIEWS
from tests.calls import Calls


def _train(engine: Engine, version: int, valid: dict[int, dict[str, Any]]) -> None:
    """A train batch with the given valid metrics by model_no; test is always the other way."""
    calls = Calls(engine)
    number = calls.add(dataset_group="한국", dataset_version=version, state="C")
    for model_no, metrics in valid.items():
        test = {name: -value if value else value for name, value in metrics.items()}
        calls.add_model(number, model_no, valid=metrics, test=test, model_id="ML-XGB")


def test_models_are_ordered_by_valid_and_undefined_ones_come_last(engine: Engine) -> None:
    _train(engine, 1, {1: {"auc": 0.7}, 2: {"auc": None}, 3: {"auc": 0.9}})
    _train(engine, 2, {4: {"auc": 0.8}})

    with engine.connect() as connection:
        found = leaderboard.models(connection)
        few = leaderboard.models(connection, limit=2)

    assert [row["model_no"] for row in found] == [3, 4, 1, 2]
    assert [row["test_auc"] for row in found] == [-0.9, -0.8, -0.7, None]
    assert [row["dataset"] for row in few] == ["한국/1", "한국/2"]


def test_fewer_models_are_the_first_of_more(engine: Engine) -> None:
    _train(engine, 1, {n: {"auc": auc} for n, auc in enumerate((0.7, None, 0.9, 0.7), 1)})
    _train(engine, 1, {5: {"auc": 0.8}, 6: {"auc": None}})
    with engine.begin() as connection:  # as an operator may
        connection.execute(delete(dc_model).where(dc_model.c.model_no == 3))
        connection.execute(delete(dc_batch_result).where(dc_batch_result.c.model_no == 6))

    with engine.connect() as connection:
        for limit in range(1, 8):
            for dataset in (None, ("한국", 1)):
                found = leaderboard.models(connection, dataset=dataset, limit=limit)
                assert [row["model_no"] for row in found] == [5, 1, 4, 2, 6][:limit]


def test_errors_are_ordered_from_the_smallest(engine: Engine) -> None:
    _train(engine, 1, {1: {"brier": 0.2}, 2: {"brier": None}, 3: {"brier": 0.1}})

    with engine.connect() as connection:
        found = leaderboard.models(connection, metric="brier")

    assert [row["model_no"] for row in found] == [3, 1, 2]


def test_models_of_one_data_set_or_one_batch(engine: Engine) -> None:
    _train(engine, 1, {1: {"auc": 0.7}})
    _train(engine, 11, {2: {"auc": 0.8}})

    with engine.connect() as connection:
        of_set = leaderboard.models(connection, dataset=("한국", 1))
        of_batch = leaderboard.models(connection, batch_id=2)

    assert [row["model_no"] for row in of_set] == [1]
    assert [row["model_no"] for row in of_batch] == [2]


def test_an_unknown_metric_is_an_error_that_lists_the_known(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(BadParameter, match=r"'AUC'.*auc, gini, ks"):
        leaderboard.models(connection, metric="AUC")


def test_results_stand_by_model_with_valid_before_test(engine: Engine) -> None:
    _train(engine, 1, {2: {"auc": 0.7}, 1: {"auc": 0.6}})

    with engine.connect() as connection:
        found = leaderboard.results(connection, 1)

    assert [(row["model_no"], row["split"]) for row in found] == [
        (1, "valid"),
        (1, "test"),
        (2, "valid"),
        (2, "test"),
    ]


def test_results_of_a_batch_that_is_not_there_are_an_error(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(NotFound, match="batch 7 does not exist"):
        leaderboard.results(connection, 7)


def test_batches_in_words_come_newest_first(engine: Engine) -> None:
    _train(engine, 1, {})
    with engine.begin() as connection:
        connection.execute(insert(dc_batch).values(mode="predict", train_batch_id=1))

    with engine.connect() as connection:
        found = listing.batches(connection)
        waiting = listing.batches(connection, state="I")

    assert [(row["batch_id"], row["status"]) for row in found] == [(2, "waiting"), (1, "completed")]
    assert [row["waits_for"] for row in waiting] == ["a launcher (none runs)"]


def test_a_batch_that_predicts_has_its_train_batchs_data_set_where_it_names_none(
    engine: Engine,
) -> None:
    _train(engine, 7, {})
    named = {"mode": "predict", "train_batch_id": 1}
    with engine.begin() as connection:
        for own in (
            {},
            {"dataset_version": 8},
            {"dataset_group": "G", "dataset_version": 9},
            {"train_batch_id": 99},
        ):
            connection.execute(insert(dc_batch).values(named | own))

    with engine.connect() as connection:
        found = listing.batches(connection)
        few = listing.batches(connection, limit=2)

    assert [row["dataset"] for row in found] == [None, "G/9", "한국/8", "한국/7", "한국/7"]
    assert few == found[:2]
    assert list(found[0]) == [part.name for part in VIEWS["v_batch"].selected_columns]


def test_ensembles_come_by_rank_with_valid_and_test_side_by_side(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(dc_batch).values(mode="ensemble", candidate_id="C1"))
        for ensemble_no, rank in ((7, 2), (3, 1), (9, None)):
            for split, value in (("valid", 0.5), ("test", 0.4)):
                key = {"batch_id": 1, "ensemble_no": ensemble_no, "split": split}
                figures = {"tn": 1, **dict.fromkeys(VOTE_METRICS, value)}
                rank_no = rank if split == "valid" else None
                connection.execute(
                    insert(dc_batch_result_t4).values(**key, **figures, rank_no=rank_no)
                )

    with engine.connect() as connection:
        found = leaderboard.ensembles(connection, 1)

    assert [(row["rank_no"], row["ensemble_no"]) for row in found] == [(1, 3), (2, 7)]
    for row in found:
        assert (row["candidate_id"], row["valid_tn"], row["test_tn"]) == ("C1", 1, 1)
        assert {row[f"valid_{name}"] for name in VOTE_METRICS} == {0.5}
        assert {row[f"test_{name}"] for name in VOTE_METRICS} == {0.4}


def test_methods_come_with_the_answer_first_then_by_their_metric_on_valid(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(dc_batch).values(mode="ensemble", candidate_id="C1"))
        for method, chosen, valid in (
            ("mean", 0, 0.5),
            ("vote", 1, 0.4),
            ("greedy", 0, 0.6),
            ("stack", 0, None),
        ):
            for split, f1 in (("valid", valid), ("test", 0.3)):
                row = {
                    "batch_id": 1,
                    "method": method,
                    "split": split,
                    "chosen": chosen,
                    "n_models": 3,
                    "metric": "f1_score",
                    "f1_score": f1,
                    "low": None if split == "valid" else 0.2,
                }
                connection.execute(insert(dc_batch_method).values(**row))

    with engine.connect() as connection:
        found = leaderboard.methods(connection, 1)

    assert [row["method"] for row in found] == ["vote", "greedy", "mean", "stack"]
    assert {(row["test_f1_score"], row["test_low"]) for row in found} == {(0.3, 0.2)}
