"""What judges chooses nothing: with other test rows, all that was learned is the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.settings import Settings
from pipeline.ensembles import pictures
from pipeline.ensembles.stored_scores import assemble
from pipeline.modes import ensemble
from pipeline.split import make_split
from storage import arrays
from storage.schema import dc_batch_detail_t4, dc_batch_method, dc_batch_result_t4
from tests.desk import Desk, applicants
from tests.lab import Lab

KINDS = (
    (1, "ML-XGB", '{"n_estimators": 60, "early_stopping_rounds": 3, "classWeight": "balanced"}'),
    (2, "ML-RF", '{"n_estimators": 10, "resampling": "smote"}'),
    (3, "DL-DNN", '{"max_epochs": 8, "patience": 2, "resampling": "under"}'),
    (4, "DL-TABNET", '{"max_epochs": 3, "patience": 1, "batch_size": 64}'),
)


def test_other_test_rows_train_the_same_models_with_the_same_thresholds(desk: Desk) -> None:
    frame = applicants()
    y = frame["y"].to_numpy(np.int8)
    sizes: dict[str, Any] = {"test_size": 0.3, "validation_size": 0.2, "seed": 42}
    test = make_split(y, split_by="random", stratify=False, **sizes).test
    other = frame.copy()
    other.loc[test, "y"] = 1 - y[test]
    other.loc[test, "income"] = frame.loc[test, "income"] * -50 + 7
    other.loc[test, "지역"] = "제주"
    desk.models(*KINDS)

    desk.load(frame, id_column="id")
    desk.load(other, id_column="id")
    learned, judged = zip(*(_trained(desk, version) for version in (1, 2)), strict=True)

    assert learned[0] == learned[1]
    assert judged[0] != judged[1]


def _trained(desk: Desk, version: int) -> tuple[list[Any], list[Any]]:
    """What a batch learned, with how well it does on valid; and how well on test."""
    parameters = '{"stratify": false, "threshold": {"metric": "f1_score"}}'
    batch_id = desk.train(parameters, dataset_version=version)
    learned: list[Any] = []
    for model in desk.trained(batch_id):
        file = desk.folder / "scores"
        desk.store.get(model.scores_uri, model.scores_sha256, file)
        (valid,) = arrays.load(file, "valid")
        learned.append((model.preprocessor_sha256, model.threshold, valid.tobytes()))
    assert len(learned) == len(KINDS)
    figures: dict[str, list[Any]] = {"valid": [], "test": []}
    for row in desk.results(batch_id):
        figures[row.split].append((row.threshold, row.tn, row.fp, row.auc, row.log_loss))
    return [*learned, *figures["valid"]], figures["test"]


def test_another_test_part_leads_to_the_same_ensembles(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "draw", lambda *_: ())
    lab = Lab(sqlite_settings, tmp_path)
    lab.list_models("C001", [(lab.make_up(9), number, 1) for number in range(1, 10)])
    rule = {"ensembles": 3000, "members": 3, "rounds": 3}
    first = lab.ensemble(rule)

    def turned(*arguments: Any) -> Any:
        """The models that were best on test are the worst."""
        board = assemble(*arguments)
        test = board.test
        return replace(
            board, test=replace(test, y=1 - test.y, scores=test.scores[::-1], votes=~test.votes)
        )

    monkeypatch.setattr(ensemble, "assemble", turned)
    second = lab.ensemble(rule)

    for table in (dc_batch_method, dc_batch_result_t4):
        one, other = (_by_part(lab, table, batch_id) for batch_id in (first, second))
        assert one["valid"] == other["valid"]
        assert one["test"] != other["test"]
    one, other = (lab.rows(dc_batch_detail_t4, batch_id) for batch_id in (first, second))
    assert one == other


def _by_part(lab: Lab, table: Any, batch_id: int) -> dict[str, list[tuple[Any, ...]]]:
    parts: dict[str, list[tuple[Any, ...]]] = {"valid": [], "test": []}
    for row in lab.rows(table, batch_id):
        parts["valid" if "valid" in row else "test"].append(row)
    return parts
