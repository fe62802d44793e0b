"""The same rows give the same numbers: run again, on one worker, a new one or two, after kills."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bank import SHARED, Bank, families, small_bank

FIGURES = (
    "model_no, model_sub_no, split, tn, fp, fn, tp, threshold, accuracy, precision_score, "
    "recall_score, specificity, f1_score, balanced_accuracy, mcc, auc, gini, ks, pr_auc, brier, "
    "log_loss, scores_sha256"
)
ALL_KINDS = [
    (1, "ML-XGB", '{"n_estimators": 40, "resampling": "smote"}'),
    (2, "ML-RF", '{"n_estimators": 20}'),
    (3, "DL-DNN", '{"max_epochs": 4, "classWeight": "balanced"}'),
    (4, "DL-TABNET", '{"max_epochs": 3}'),
]
SLOW_FORESTS = [
    (1, "ML-RF", '{"n_estimators": 150, "grid": {"max_depth": [4, 5, 6, 7, 8, 9, 10, 12, 14]}}')
]


@contextmanager
def loaded(folder: Path, models: list[tuple[int, str, str]], **settings: str) -> Iterator[Bank]:
    folder.mkdir(exist_ok=True)
    with small_bank(folder, **settings) as bank:
        data = SHARED / "data" / "german" / "german_credit.csv"
        bank.deepcredit("dataset", "load", str(data), "--group", "G", "--target", "default")
        for model_no, model_id, param in models:
            bank.add_model(model_no, model_id, "M", json.loads(param))
        yield bank


def add_train(bank: Bank) -> None:
    bank.sql(
        "INSERT INTO dc_batch (mode, dataset_group, dataset_version, model_group, batch_param) "
        "VALUES ('train', 'G', 1, 'M', '{\"randomState\": 7}')"
    )


def figures(bank: Bank, batch_id: int) -> list[list[str]]:
    rows = bank.sql(
        f"SELECT state, error_text, {FIGURES} FROM dc_batch_result WHERE batch_id = {batch_id} "
        "ORDER BY model_no, model_sub_no, split"
    )
    assert rows
    assert {row[0] for row in rows} == {"C"}, rows
    return [row[2:] for row in rows]


@pytest.mark.slow
def test_all_kinds_give_equal_figures_on_one_worker_or_two(tmp_path: Path) -> None:
    """The one is renewed in the middle of the batch."""
    found = []
    for workers, tasks, runs in (("1", "2", 1), ("2", "0", 2)):
        told = {"WORKERS": workers, "WORKER_TASKS": tasks}
        with loaded(tmp_path / workers, ALL_KINDS, **told) as bank:
            for _ in range(runs):
                add_train(bank)
            assert bank.launcher("SERVER_001", "--drain").wait(timeout=240) == 0, bank.log()
            found += [figures(bank, batch_id) for batch_id in range(1, runs + 1)]
            log = (bank.folder / "logs" / "SERVER_001.log").read_text(encoding="utf-8")
            assert ("why=renewed" in log) == (workers == "1")

    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_a_batch_whose_launcher_and_then_child_are_killed_is_completed(tmp_path: Path) -> None:
    with loaded(tmp_path, SLOW_FORESTS, LEASE_SECONDS="4", WORKERS="1") as bank:
        first = bank.launcher("FIRST")
        add_train(bank)
        bank.wait(lambda: bank.state(1) == "C")
        add_train(bank)
        bank.wait(lambda: models(bank))
        os.kill(first.pid, signal.SIGKILL)
        second = bank.launcher("SECOND")
        bank.wait(lambda: len({fence for _, fence, _ in models(bank)}) == 2)
        (child,) = families(second.pid, "launcher.service.child_main")
        os.kill(child.pid, signal.SIGKILL)
        before = models(bank)
        bank.wait(lambda: bank.state(2) == "C")

        assert figures(bank, 2) == figures(bank, 1)
        after = models(bank)
        assert len(before) < len(after) == 9
        assert [row for row in after if row in before] == before  # not trained again
        outcomes = bank.sql(
            "SELECT outcome, error_class FROM dc_batch_attempt WHERE batch_id = 2 ORDER BY fence"
        )
        assert [row[0] for row in outcomes] == ["E", "E", "C"], outcomes


def models(bank: Bank) -> list[list[str]]:
    return bank.sql(
        "SELECT model_sub_no, fence, sha256 FROM dc_model WHERE batch_id = 2 ORDER BY model_sub_no"
    )
