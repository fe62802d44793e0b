"""What bad input gets: an error that names the thing and the remedy."""

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from configs.errors import (
    BadData,
    BadParameter,
    DatasetChanged,
    DeepCreditError,
    NotFound,
    ParentFailed,
)
from tests.desk import XGB, Desk, applicants


def test_rows_trained_on_with_another_target_are_refused(desk: Desk) -> None:
    desk.load_either_way()
    desk.models(XGB)
    trained = desk.train()

    with pytest.raises(BadData, match=r"target y = good, but .* with y = bad \(G/1\)"):
        desk.predict(trained, dataset_version=2)


def test_labels_of_other_rows_that_mean_the_contrary_are_refused(desk: Desk) -> None:
    desk.models(XGB)
    for seed, positive in enumerate(("bad", "good", "bad")):
        frame = applicants(seed=seed)
        frame["y"] = np.where(frame["y"] == 1, "bad", "good")
        desk.load(frame, positive=positive)
    trained = desk.train()

    with pytest.raises(BadData, match=r"target y = good, but .* with y = bad \(G/1\)"):
        desk.predict(trained, dataset_version=2)
    assert desk.run(desk.add(mode="predict", train_batch_id=trained, dataset_version=3))


BAD_ROWS = [
    ({"mode": "trian"}, NotFound, ["'trian'", "predict", "train"]),
    ({"mode": None}, NotFound, ["mode is NULL; there are: ", "train"]),
    ({"dataset_group": "H"}, NotFound, ["H", "G"]),
    ({"dataset_version": 9}, NotFound, ["9", "1"]),
    ({"dataset_group": None}, NotFound, ["dataset_group"]),
    ({"model_group": "N"}, NotFound, ["'N'", "M"]),
    ({"model_group": None}, NotFound, ["model_group"]),
    ({"batch_param": "testSize=0.3"}, BadParameter, ["not JSON"]),
    ({"batch_param": '["testSize"]'}, BadParameter, ["object"]),
    ({"batch_param": '{"testsize": 0.3}'}, BadParameter, ["testSize"]),
    ({"batch_param": '{"testSize": {}}'}, BadParameter, ["testSize", "number"]),
    ({"batch_param": '{"testSize": 1000}'}, BadParameter, ["testSize", "300"]),
    ({"batch_param": '{"threshold": 2}'}, BadParameter, ["threshold", "0 to 1"]),
    ({"batch_param": '{"models": [7]}'}, BadParameter, ["7", "1"]),
    ({"batch_param": '{"splitBy": "time"}'}, BadData, ["time column"]),
    ({"mode": "predict"}, NotFound, ["train_batch_id"]),
    ({"mode": "predict", "train_batch_id": 99}, NotFound, ["99"]),
]


@pytest.mark.parametrize(("columns", "error", "words"), BAD_ROWS)
def test_a_bad_row_ends_in_a_final_error_that_names_thing_and_remedy(
    ready: Desk, columns: dict[str, object], error: type[DeepCreditError], words: list[str]
) -> None:
    batch_id = ready.add(**columns)

    with pytest.raises(error) as caught:
        ready.run(batch_id)

    row = ready.read(batch_id)
    assert (row.state, row.run_after, row.error_class) == ("E", None, error.__name__)
    assert not ready.results(batch_id)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in row.error_text


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ((2, "ML-XBG", None), NotFound, ["'ML-XBG'", "ML-XGB"]),
        ((2, "ML-XGB", "{"), BadParameter, ["model_no 2", "JSON"]),
        ((2, "ML-XGB", '{"depth": 3}'), BadParameter, ["model_no 2", "depth", "max_depth"]),
        ((2, "ML-XGB", '{"max_depth": "deep"}'), BadParameter, ["max_depth", "whole number"]),
        ((2, "ML-RF", '{"grid": {"max_depth": 3}}'), BadParameter, ["grid", "list"]),
    ],
)
def test_a_bad_row_of_the_model_list_is_found_before_anything_is_trained(
    ready: Desk, model: tuple[int, str, str | None], error: type[Exception], words: list[str]
) -> None:
    ready.models(model)
    batch_id = ready.add()

    with pytest.raises(error) as caught:
        ready.run(batch_id)

    assert not ready.trained(batch_id)
    for word in words:
        assert word in str(caught.value)


def test_a_parent_that_is_no_train_batch_or_failed_ends_its_predict_batch(ready: Desk) -> None:
    failed = ready.add(batch_param="{")
    with pytest.raises(BadParameter):
        ready.run(failed)
    child = ready.add(mode="predict", train_batch_id=failed)
    with pytest.raises(
        ParentFailed, match=f"{failed} ended in BadParameter and must run again first: "
    ):
        ready.run(child)
    with pytest.raises(NotFound, match="is a predict batch"):
        ready.predict(child)


def test_a_feature_column_that_has_gone_is_named(ready: Desk) -> None:
    trained = ready.train()
    ready.load(applicants(80, seed=2).drop(columns="debt"), id_column="id")

    with pytest.raises(BadData, match="debt"):
        ready.predict(trained, dataset_version=2)


def test_rows_changed_since_they_were_registered_are_refused(ready: Desk) -> None:
    with ready.engine.begin() as connection:
        name = connection.execute(text("SELECT table_name FROM dc_dataset")).scalar_one()
        connection.execute(text(f'UPDATE "{name}" SET income = income + 1 WHERE id = 3'))

    with pytest.raises(DatasetChanged, match="new version"):
        ready.train()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 1, np.nan, 1] * 10, ["missing"]),
        ([0, 1, 2, 1] * 10, ["2"]),
        (["good", "bad"] * 20, ["--positive", "good", "bad"]),
    ],
)
def test_a_target_that_cannot_serve_is_refused_when_it_is_loaded(
    desk: Desk, y: list[object], words: list[str]
) -> None:
    frame = pd.DataFrame({"x": range(40), "y": y})

    with pytest.raises(BadData) as caught:
        desk.load(frame)

    for word in words:
        assert word in str(caught.value)


def test_a_target_of_one_class_trains_nothing(desk: Desk) -> None:
    desk.load(pd.DataFrame({"x": range(40), "y": [0] * 40}))
    desk.models(XGB)

    with pytest.raises(BadData, match="one class only: all 40 rows are 0"):
        desk.train()
