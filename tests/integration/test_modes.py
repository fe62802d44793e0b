"""Modes train and predict."""

import json
import os
import platform
import re
import shutil
import socket
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from distributed.protocol.pickle import dumps
from sqlalchemy import text
from structlog.testing import capture_logs

from configs.errors import (
    AllModelsFailed,
    ArtifactDamaged,
    ArtifactMissing,
    CardFull,
    ClusterUnavailable,
    DatasetChanged,
    DeepCreditError,
    HostUnfit,
    LeaseLost,
    ModelFailed,
    NotFound,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from configs.metric_names import METRICS
from models import devices
from models.bands import bands, stability
from models.estimators.dl_dnn import DenseNetwork
from models.scores import measure
from pipeline import frames
from pipeline.executor import Done, Inline, Need
from pipeline.fitting import FitTask
from storage import arrays
from storage.artifacts.port import Stored
from storage.cache import Cache
from storage.engine import transaction
from storage.schema import dc_score_band
from tests.desk import XGB, Desk, applicants, figures
from tests.leftovers import left_behind


def test_train_commits_models_with_valid_and_test_figures_and_scores(ready: Desk) -> None:
    batch_id = ready.train()

    valid, test = sorted(ready.results(batch_id), key=lambda row: row.split, reverse=True)
    assert (valid.split, test.split, valid.n_rows, test.n_rows) == ("valid", "test", 42, 90)
    (model,) = ready.trained(batch_id)
    file = ready.folder / "scores"
    ready.store.get(model.scores_uri, model.scores_sha256, file)
    s_valid, s_test = arrays.load(file, "valid", "test")
    split = ready.folder / "split"
    sha256 = _split_sha(ready, model.split_id)
    ready.store.get(f"splits/{sha256}.safetensors", sha256, split)
    y_valid, y_test = arrays.load(split, "y_valid", "y_test")
    for row, y, scores in ((valid, y_valid, s_valid), (test, y_test, s_test)):
        again = measure(y, scores, row.threshold)
        assert all(getattr(row, name) == getattr(again, name) for name in ("tn", "tp", *METRICS))
        assert banded(ready, batch_id, row.split) == [
            tuple(getattr(each, name) for name in BAND) for each in bands(scores, y)
        ]
        assert row.psi is None


BAND = ("band", "n_rows", "n_positive", "mean_score")


def banded(desk: Desk, batch_id: int, split: str) -> list[tuple[Any, ...]]:
    """The bands of a batch of one model."""
    rows = [row for row in desk.rows(dc_score_band, batch_id) if row.split == split]
    return [tuple(getattr(row, name) for name in BAND) for row in rows]


def test_a_model_keeps_what_it_was_asked_for_and_what_made_it(ready: Desk) -> None:
    ready.models((2, "ML-RF", '{"n_estimators": "7", "grid": {"classWeight": ["balanced"]}}'))
    asked = {"testSize": "0.4", "threshold": {"costFn": 5, "costFp": "1"}, "models": [2]}
    batch_id = ready.train(json.dumps(asked | {"timeLimit": 900}))
    change = text("UPDATE dc_batch SET batch_param = NULL")
    transaction(ready.engine, lambda connection: connection.execute(change))

    (model,) = ready.trained(batch_id)

    assert json.loads(model.params) == {
        "model_sub_no": 1,
        "params": {"n_estimators": 7},
        "resampling": "none",
        "sampling_strategy": None,
        "class_weight": "balanced",
    }
    assert json.loads(model.batch_param) == {
        "randomState": 42,
        "testSize": 0.4,
        "validationSize": 0.2,
        "splitBy": "random",
        "stratify": True,
        "threshold": {"costFn": 5, "costFp": "1"},
    }
    versions = json.loads(model.versions)
    assert (versions["deepcredit"], versions["python"]) == (
        version("deepcredit"),
        platform.python_version(),
    )
    assert versions["scikit-learn"] == sklearn.__version__


def test_the_summary_of_a_batch_tells_counts_from_percentages(ready: Desk) -> None:
    summary = ready.run(ready.add(batch_param='{"testSize": "30", "validationSize": 0.2}'))

    assert summary == "1 of 1 model trained; testSize 30: 30 of 300 rows, not 30 %"


def test_the_summary_of_a_batch_tells_where_hardly_a_row_of_a_class_judges(ready: Desk) -> None:
    summary = ready.run(ready.add(batch_param='{"testSize": "101", "validationSize": 15}'))

    few = "class 1 in 6 of 15 rows of valid: figures of so few are luck"
    assert summary == f"1 of 1 model trained; validationSize 15: 15 of 300 rows, not 15 %; {few}"


def test_the_summary_of_a_batch_tells_of_rows_set_aside_that_equal_rows_of_train(
    ready: Desk,
) -> None:
    twice = pd.concat([applicants().assign(country="한국")] * 2).drop(columns="id")
    ready.load(twice.assign(customer=np.tile(np.arange(300), 2)), group_column="customer")
    batches = [
        ready.add(batch_param=json.dumps({"splitBy": by}), dataset_version=2)
        for by in ("random", "group")
    ]

    with capture_logs() as logs:
        by_chance, by_group = map(ready.run, batches)

    unused = "no model uses country (constant in the training part)"
    said = r"1 of 1 model trained; (\d+) of 264 rows of valid and test equal rows of train; "
    found = re.fullmatch(said + re.escape(unused), by_chance)
    assert found
    assert 100 < int(found[1]) < 264
    assert [log["batch_id"] for log in logs if log["event"] == "doubtful split"] == batches[:1]
    assert by_group == f"1 of 1 model trained; {unused}"
    assert [log["note"] for log in logs if log["event"] == "unused"] == [unused] * 2


def test_the_summary_of_a_batch_tells_of_rows_set_aside_with_what_no_row_of_train_had(
    ready: Desk,
) -> None:
    rows = applicants()
    rows.loc[290:, "지역"] = "제주"
    rows.loc[280:, "debt"] = None
    ready.load(rows.rename(columns={"id": "applied"}), time_column="applied")
    batch_id = ready.add(batch_param='{"splitBy": "time"}', dataset_version=2)

    with capture_logs() as logs:
        summary = ready.run(batch_id)

    doubts = [
        "지역: 10 of 132 rows of valid and test with a category that train never had",
        "debt: 20 of 132 rows of valid and test without a value, which none of train lacked",
    ]
    assert summary == "; ".join(["1 of 1 model trained", *doubts])
    assert [log["note"] for log in logs if log["event"] == "doubtful split"] == doubts


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("CACHE_DIRR", "/var", "cache_dirr"), ("CACHE_DIR", "/dev/null/cache", "Not a directory")],
)
def test_a_host_that_cannot_work_fails_the_batch_for_now_and_none_of_its_models(
    ready: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setattr("pipeline.workplace._UNFIT_PAUSE_SECONDS", 0)
    monkeypatch.setenv(f"DEEPCREDIT_{name}", value)
    batch_id = ready.add()

    with pytest.raises(HostUnfit, match=f"^{socket.gethostname()}: .*{said}"):
        ready.run(batch_id)

    assert ready.results(batch_id) == []
    assert ready.read(batch_id).run_after is not None


def _split_sha(desk: Desk, split_id: str) -> str:
    with desk.engine.connect() as connection:
        query = text("SELECT sha256 FROM dc_split WHERE split_id = :id")
        return connection.execute(query, {"id": split_id}).scalar_one()


def test_what_a_model_was_fitted_on_is_kept(ready: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = DenseNetwork.fit

    def fit(self, *arguments, **named):
        assert self.device == "cuda"
        self.device = "cpu"  # there is no card here
        return honest(self, *arguments, **named)

    monkeypatch.setattr(DenseNetwork, "fit", fit)
    ready.models((2, "DL-DNN", '{"max_epochs": 1, "hidden_units": 9000}'))
    without = ready.train('{"models": [1]}')
    monkeypatch.setattr(devices, "best", lambda _: "cuda")
    on_card = ready.train('{"models": [2]}')

    assert [ready.trained(batch)[0].device for batch in (without, on_card)] == ["cpu", "cuda"]


@pytest.mark.parametrize(
    "left_out", [(), ("dataset_version",), ("dataset_group", "dataset_version")]
)
def test_predict_on_the_rows_set_aside_finds_the_same_figures(
    ready: Desk, left_out: tuple[str, ...]
) -> None:
    trained = ready.train('{"threshold": {"metric": "f1_score"}}')

    row = {"mode": "predict", "train_batch_id": trained, "model_group": None}
    named = {"dataset_group": "G", "dataset_version": 1} | dict.fromkeys(left_out)
    predicted = ready.add(**row, **named)
    assert ready.run(predicted) == "1 of 1 model applied"

    (again,) = ready.results(predicted)
    (test,) = (row for row in ready.results(trained) if row.split == "test")
    (model,) = ready.trained(trained)
    assert (again.split, again.split_id, len(again.content_sha256)) == ("test", model.split_id, 64)
    assert figures(again) == figures(test)
    assert banded(ready, predicted, "test") == banded(ready, trained, "test")
    assert again.psi is None


class FullCard(Inline):
    """Has no memory left on cards; notes what it was asked for."""

    def __init__(self) -> None:
        self.needs: list[Need] = []

    def run(self, function, tasks, *, need, deadline=None):
        for task in tasks:
            self.needs.append(need(task))
            if self.needs[-1].gpu:
                yield Done(task, None, CardFull("out of memory"))
            else:
                yield from super().run(function, [task])


def test_a_model_is_applied_where_it_was_fitted_if_there_is_room_or_else_that_is_noted(
    ready: Desk,
) -> None:
    trained = ready.train()
    ready.sql("UPDATE dc_model SET device = 'cuda', bytes = bytes + 50000000")
    executor = FullCard()
    (row,) = ready.results(ready.predict(trained, executor))

    assert [0 < executor.needs[0].gpu < 1, *(each.gpu for each in executor.needs[1:])] == [
        True,
        1,
        0,
    ]
    assert executor.needs[0].memory_mb > 400
    assert row.note == "no memory left on a card of its own: done on the CPU"


def test_predict_scores_every_row_of_another_data_set(ready: Desk) -> None:
    trained = ready.train()
    other = applicants(120, seed=1).assign(extra=1)
    other.loc[0, "지역"] = "제주"  # never seen in training
    ready.load(other, id_column="id")

    predicted = ready.add(mode="predict", train_batch_id=trained, dataset_version=2)
    ready.reports.clear()
    assert ready.run(predicted) == "1 of 1 model applied"

    assert [note for _, note in ready.reports] == [
        *("looking at the model store", "reading the data set", "preparing 120 rows"),
        *("0 of 1 model", "1 of 1 model, last ML-XGB 1/1"),
    ]
    (row,) = ready.results(predicted)
    assert (row.split, row.n_rows, row.state) == ("all", 120, "C")
    assert row.auc > 0.7


def test_predict_says_that_many_rows_hold_what_training_never_had(ready: Desk) -> None:
    trained = ready.train()
    other = applicants(120, seed=1)
    other.loc[:29, "지역"] = "제주"
    other.loc[100:, ["지역", "debt"]] = None
    ready.load(other, id_column="id")

    with capture_logs() as logs:
        said = ready.run(ready.add(mode="predict", train_batch_id=trained, dataset_version=2))

    doubt = "지역: 30 of 120 rows with a category that training had never or hardly ever"
    gap = "debt: 20 of 120 rows without a value, which none lacked in training"
    assert said == f"1 of 1 model applied; {doubt}; {gap}"
    for event, note in (("unknown categories", doubt), ("missing values", gap)):
        assert [line["note"] for line in logs if line["event"] == event] == [note]


def test_predict_says_how_far_scores_have_shifted(ready: Desk) -> None:
    trained = ready.train()
    same = applicants(seed=1)
    for rows in (same, same.assign(debt=same["debt"] + 3)):
        ready.load(rows, id_column="id")
    row = {"mode": "predict", "train_batch_id": trained}
    both = [ready.add(**row, dataset_version=version) for version in (2, 3)]

    with capture_logs() as logs:
        quiet, told = map(ready.run, both)

    indices = []
    for batch_id in both:
        of_test, of_rows = (
            {band: n_rows for band, n_rows, *_ in banded(ready, number, split)}
            for number, split in ((trained, "test"), (batch_id, "all"))
        )
        assert sum(of_rows.values()) == 300
        indices.append(stability(of_test, of_rows))
    assert [ready.results(batch_id)[0].psi for batch_id in both] == indices
    doubt = f"scores of 1 of 1 model have shifted (PSI above 0.25, up to {indices[1]:.3f})"
    assert quiet == "1 of 1 model applied"
    assert told == f"1 of 1 model applied; {doubt}"
    assert [line["note"] for line in logs if line["event"] == "shifted scores"] == [doubt]


def test_kept_scores_are_compared_anew_with_test_of_the_batch_that_is_named_now(
    ready: Desk,
) -> None:
    first = ready.train()
    second = ready.train('{"randomState": 7}')
    same = "uri, sha256, bytes, threshold, preprocessor_uri, preprocessor_sha256"
    ready.sql(
        f"UPDATE dc_model SET ({same}) = (SELECT {same} FROM dc_model WHERE batch_id = :first)"
        " WHERE batch_id = :second",
        first=first,
        second=second,
    )
    ready.load(applicants(seed=1), id_column="id")
    batch_id = ready.predict(first, dataset_version=2)
    (before,) = ready.results(batch_id)

    ready.change(batch_id, state="I", train_batch_id=second)
    said = ready.run(batch_id)

    (after,) = ready.results(batch_id)
    of_test, of_rows = (
        {band: n_rows for band, n_rows, *_ in banded(ready, number, split)}
        for number, split in ((second, "test"), (batch_id, "all"))
    )
    assert "1 of them in an earlier run" in said
    assert before.psi != after.psi == stability(of_test, of_rows)
    ready.sql("DELETE FROM dc_score_band WHERE batch_id = :second", second=second)
    ready.again(batch_id)
    ready.run(batch_id)
    assert [row.psi for row in ready.results(batch_id)] == [None]


def test_scores_are_not_compared_on_rows_trained_on_or_with_models_of_before(ready: Desk) -> None:
    trained = ready.train()
    moved = applicants(seed=1).assign(debt=9)
    ready.load(moved, id_column="id")
    row = {"mode": "predict", "train_batch_id": trained}
    everything = ready.add(**row, dataset_version=1, batch_param='{"scope": "all"}')
    other = ready.add(**row, dataset_version=2)
    ready.run(everything)
    ready.sql("DELETE FROM dc_score_band WHERE batch_id = :trained", trained=trained)

    assert ready.run(other) == "1 of 1 model applied"

    assert [ready.results(batch_id)[0].psi for batch_id in (everything, other)] == [None, None]
    assert banded(ready, other, "all")


GUISES = {
    "rows in another order": (lambda rows: rows.iloc[::-1], "168 of 300", ""),
    "columns in another order": (lambda rows: rows[rows.columns[::-1]], "168 of 300", ""),
    "one column more": (lambda rows: rows.assign(extra=1), "168 of 300", ""),
    "new rows as well": (
        lambda rows: pd.concat([rows, applicants(seed=1).assign(지역="제주")]),
        "168 of 600",
        "; 지역: 300 of 600 rows with a category that training had never or hardly ever",
    ),
}


@pytest.mark.parametrize("guise", GUISES)
def test_predict_says_that_rows_of_another_data_set_were_learned_from(
    ready: Desk, guise: str
) -> None:
    trained = ready.train()
    disguised, count, less_grave = GUISES[guise]
    ready.load(disguised(applicants()), id_column="id")
    row = {"mode": "predict", "train_batch_id": trained, "dataset_version": 2}

    with capture_logs() as logs:
        said = ready.run(ready.add(**row))

    doubt = f"{count} rows equal rows learned from: metrics on them flatter"
    assert said == f"1 of 1 model applied; {doubt}{less_grave}"
    assert [line["note"] for line in logs if line["event"] == "rows learned from"] == [doubt]


@pytest.mark.parametrize("why", ["no outcome", "models of before", "the file of keys is lost"])
def test_where_rows_learned_from_cannot_flatter_or_be_known_nothing_is_said(
    ready: Desk, why: str
) -> None:
    trained = ready.train()
    rows = applicants().assign(extra=1)
    if why == "no outcome":
        ready.load(rows.drop(columns="y"), target=None, id_column="id")
    else:
        ready.load(rows, id_column="id")
    if why == "models of before":
        forget = text("UPDATE dc_model SET row_keys_uri = NULL, row_keys_sha256 = NULL")
        transaction(ready.engine, lambda connection: connection.execute(forget))
    elif why == "the file of keys is lost":
        (model,) = ready.trained(trained)
        ready.store.delete(model.row_keys_uri)
        shutil.rmtree(ready.settings.cache_dir)

    predicted = ready.add(mode="predict", train_batch_id=trained, dataset_version=2)

    assert ready.run(predicted) == "1 of 1 model applied"


def test_rows_trained_on_are_known_again_under_another_name(ready: Desk) -> None:
    ready.load(applicants(), id_column="id")  # as version 2
    trained = ready.train()

    predicted = ready.add(mode="predict", train_batch_id=trained, dataset_version=2)
    ready.run(predicted)

    (again,) = ready.results(predicted)
    (test,) = (row for row in ready.results(trained) if row.split == "test")
    assert again.split == "test"
    assert figures(again) == figures(test)


def test_rows_trained_on_are_known_again_without_a_target(ready: Desk) -> None:
    ready.load(applicants(), target=None, id_column="id")
    trained = ready.train()

    predicted = ready.predict(trained, dataset_version=2)

    (row,) = ready.results(predicted)
    (test,) = (row for row in ready.results(trained) if row.split == "test")
    assert (row.split, row.n_rows, row.auc) == ("test", test.n_rows, None)
    assert banded(ready, predicted, "test") == [
        (band, n_rows, None, mean) for band, n_rows, _, mean in banded(ready, trained, "test")
    ]


@pytest.mark.parametrize(
    "first", [{"missing": {"debt": ("1",)}}, {"sensitive": ("debt",)}, None], ids=str
)
def test_without_a_name_rows_are_prepared_as_the_models_own_batch_had_them(
    desk: Desk, first: dict[str, Any] | None
) -> None:
    """Though the same rows were trained on before, under a name that tells otherwise of them."""
    frame = applicants()
    frame["debt"] = frame["debt"].round()
    desk.models((1, "ML-RF", '{"n_estimators": 20}'))
    desk.load(frame, id_column="id", **first or {})
    desk.load(frame, id_column="id")
    desk.train()
    trained = desk.train(dataset_version=2)
    if first is None:
        with desk.engine.begin() as connection:
            connection.execute(text("DELETE FROM dc_dataset WHERE dataset_version = 1"))

    nameless = {"dataset_group": None, "dataset_version": None}
    predicted = desk.add(mode="predict", train_batch_id=trained, **nameless)
    desk.run(predicted)

    (again,) = desk.results(predicted)
    (test,) = (row for row in desk.results(trained) if row.split == "test")
    assert again.split == "test"
    assert figures(again) == figures(test)


@pytest.mark.parametrize("named", [{}, {"dataset_group": None, "dataset_version": None}], ids=str)
def test_other_rows_under_the_name_trained_on_are_not_taken_for_new_ones(
    ready: Desk, named: dict[str, Any]
) -> None:
    trained = ready.train()
    change = text("UPDATE dc_dataset SET content_sha256 = :other")
    transaction(ready.engine, lambda connection: connection.execute(change, {"other": 64 * "1"}))

    with pytest.raises(DatasetChanged, match=r"G/1 was registered anew since batch 1 was trained"):
        ready.predict(trained, **named)


def test_one_failing_model_does_not_take_the_others_with_it(ready: Desk) -> None:
    # SMOTE needs neighbours of the rarer class; the ratio asked for is below the one there is.
    ready.models((2, "ML-XGB", '{"resampling": "over", "samplingStrategy": 0.01}'))

    batch_id = ready.add()
    assert "1 failed, the first: ML-XGB 2/1: BadParameter" in ready.run(batch_id)

    rows = {(row.model_no, row.split): row for row in ready.results(batch_id)}
    assert [rows[key].state for key in sorted(rows)] == ["C", "C", "E", "E"]
    assert "samplingStrategy" in rows[2, "test"].error_text
    assert rows[2, "test"].auc is None
    assert ready.reports[-1] == (0.99, "2 of 2 models, 1 failed, last ML-XGB 2/1")
    with pytest.raises(ModelFailed, match="ML-XGB 2/1"):
        ready.train('{"onModelError": "fail"}')
    with pytest.raises(AllModelsFailed, match="0 of 1 model"):
        ready.train('{"models": [2]}')


def test_only_rows_of_the_training_part_are_resampled(ready: Desk) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 5, "resampling": "over"}'))

    batch_id = ready.train()

    # Resampled before the split, valid and test would have been larger and half of each positive.
    plain, over = (
        [row for row in ready.results(batch_id) if row.model_no == number] for number in (1, 2)
    )
    for a, b in zip(plain, over, strict=True):
        assert (a.n_rows, a.fn + a.tp) == (b.n_rows, b.fn + b.tp)
    assert plain[0].auc != over[0].auc


def test_class_weights_reach_the_fit(ready: Desk) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 5, "classWeight": {"1": 9}}'))

    batch_id = ready.train()

    plain, wary = (row for row in ready.results(batch_id) if row.split == "valid")
    assert wary.fp + wary.tp > plain.fp + plain.tp


class TimeIsUp(Inline):
    """One task is done when the time limit ends."""

    def run(self, function, tasks, *, need=None, deadline=None):
        assert deadline is not None
        yield from super().run(function, tasks[:1])


def test_what_is_finished_within_the_time_limit_is_kept(ready: Desk) -> None:
    ready.models((2, "ML-XGB", '{"n_estimators": 7}'))
    ready.executor = TimeIsUp()

    batch_id = ready.add(batch_param='{"timeLimit": 60}')

    assert "1 not trained within timeLimit" in ready.run(batch_id)
    assert len(ready.trained(batch_id)) == 1


class Clocks(Inline):
    """When the tasks must end."""

    def run(self, function, tasks, *, need=None, deadline=None):
        self.deadline = deadline
        yield from super().run(function, tasks)


def test_the_time_limit_counts_from_before_the_data_are_read(ready: Desk, monkeypatch) -> None:
    began = []
    read_from = frames.read_from

    def read(*arguments: Any) -> Any:
        began.append(time.monotonic())
        return read_from(*arguments)

    monkeypatch.setattr(frames, "read_from", read)
    ready.executor = Clocks()
    limit = '{"timeLimit": 60, "scope": "all"}'

    trained = ready.train('{"timeLimit": 60}')
    assert ready.executor.deadline - 60 <= began.pop()
    ready.predict(trained, batch_param=limit)
    assert ready.executor.deadline - 60 <= began.pop()


class Crowded(Inline):
    """Other work fills the cache before the tasks come to run, minutes after they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, function, tasks, *, need=None, deadline=None):
        assert left_in(self.folder)
        yield from super().run(function, tasks)


def left_in(folder: Path) -> list[Path]:
    """Files of a cache that is too small for any, long after they were used."""
    for file in folder.glob("files/*/*"):
        os.utime(file, (0, 0))
    Cache(folder, limit_bytes=1).evict()
    return list(folder.glob("files/*/*"))


def test_the_matrix_of_a_running_batch_stays_in_the_cache(ready: Desk) -> None:
    ready.executor = Crowded(ready.settings.cache_dir)
    trained = ready.train()
    ready.predict(trained)

    assert not left_in(ready.settings.cache_dir)


class Robber(Inline):
    """An operator takes the batch while its first model is fitted."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def run(self, function, tasks, *, need=None, deadline=None):
        for done in super().run(function, tasks):
            self.desk.sql("UPDATE dc_batch SET state = 'I'")
            yield done


def test_a_run_whose_batch_another_took_before_it_began_does_nothing(ready: Desk) -> None:
    batch_id = ready.add()
    claim = ready.take(batch_id=batch_id, lease=600)
    ready.again(batch_id)
    ready.take(batch_id=batch_id, lease=600)

    with pytest.raises(LeaseLost):
        ready._execute(claim)
    assert list(ready.store.walk()) == []


def test_a_run_that_lost_its_batch_writes_nothing(ready: Desk) -> None:
    ready.executor = Robber(ready)
    batch_id = ready.add()

    with pytest.raises(LeaseLost):
        ready.run(batch_id)

    assert not ready.trained(batch_id)
    assert not ready.results(batch_id)


class Failing(Inline):
    """Every task fails with `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def run(self, function, tasks, *, need=None, deadline=None):
        for task in tasks:
            yield Done(task, None, self.error)


def test_a_full_store_fails_the_batch_not_its_models(ready: Desk) -> None:
    ready.executor = Failing(StoreFull("no space left for models/T1/1/1.f1.ubj"))
    batch_id = ready.add()

    with pytest.raises(StoreFull):
        ready.run(batch_id)

    assert (ready.read(batch_id).state, ready.read(batch_id).run_after) == ("E", None)
    assert not ready.results(batch_id)


def test_what_is_no_fault_of_a_model_is_not_written_down_as_its_failure(ready: Desk) -> None:
    others = (ArtifactDamaged, ArtifactMissing, ClusterUnavailable, StoreRefused, StoreUnavailable)
    for kind in others:
        ready.executor = Failing(kind("not the model's"))
        batch_id = ready.add()
        with pytest.raises(kind):
            ready.run(batch_id)
        assert not ready.results(batch_id)


def test_a_batch_removes_what_dead_processes_left(ready, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    folders = (tmp_path / "tmp", ready.settings.cache_dir / "scratch")
    left = [left_behind(folder) for folder in folders]

    with pytest.raises(NotFound, match="train_batch_id"):  # no worker is asked
        ready.run(ready.add(mode="predict"))

    assert [each.exists() for each in left] == [False, False]


def test_a_tampered_model_is_refused_before_it_is_opened(ready: Desk) -> None:
    trained = ready.train()
    (model,) = ready.trained(trained)
    file = Path(ready.settings.store_url, model.uri)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"!")

    with pytest.raises(DeepCreditError, match=re.escape(model.uri)) as caught:
        ready.predict(trained)

    assert type(caught.value).__name__ == "ArtifactDamaged"


def test_column_names_are_data_never_syntax(desk: Desk) -> None:
    names = [
        'a"b',
        "a'b",
        "a`b",
        "a%b",
        "a b;",
        "x" * 64,
        "1); DROP TABLE dc_batch; --",
        "금액",
        "%s",
    ]
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(100, len(names))), columns=names)
    frame["y"] = (frame[names[0]] > 0).astype(int)
    desk.load(frame)
    desk.models(XGB)

    trained = desk.train()
    desk.predict(trained)

    assert desk.results(trained)[0].auc > 0.9


def test_tasks_carry_paths_and_hashes_but_no_secret(ready: Desk) -> None:
    seen: list[FitTask] = []

    class Looker(Inline):
        def run(self, function, tasks, *, need=None, deadline=None):
            seen.extend(tasks)
            yield from super().run(function, tasks)

    ready.executor = Looker()
    ready.train()

    (task,) = seen
    assert isinstance(task.matrix, Stored)
    assert not {name for name in json.loads(task.settings) if "password" in name}
    assert 2 * len(dumps(task)) < task.matrix.bytes  # even of a small one nothing goes along
