"""The main job as an operator does it: INSERT by the mariadb client, launcher, SELECT."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bank import SHARED, Bank, real_bank
from tests.mariadb import MariaDB
from tests.sshd import SshServer

MODELS = """
[[model]]
model_no = 1
model_id = "ML-XGB"
model_group_id = "M100"
model_desc = "부스팅 기본값"

[[model]]
model_no = 2
model_id = "ML-RF"
model_group_id = "M100"
[model.param]
n_estimators = 5
grid = { min_samples_leaf = [5, 10, 15, 20, 25, 30, 40, 50, 60], max_features = [3, 5, 8] }

[[model]]
model_no = 3
model_id = "DL-DNN"
model_group_id = "M100"
[model.param]
max_epochs = 8

[[model]]
model_no = 4
model_id = "DL-TABNET"
model_group_id = "M100"
[model.param]
max_epochs = 8
n_steps = 1
"""

# ruff: noqa: E501
# The statements of the system replaced, to the letter.
TRAIN = """
INSERT INTO dc_batch (batch_desc, batch_memo, batch_param, mode, dataset_group, dataset_version, model_group, state)
VALUES ('credit model training', 'XGBoost group', '{"testSize": "0.3", "validationSize": "0.2", "randomState": "42"}', 'train', 'DATA001', 1, 'M100', 'I');
"""

PREDICT = """
INSERT INTO dc_batch (batch_desc, train_batch_id, mode, dataset_group, dataset_version, state)
VALUES ('credit prediction', 1, 'predict', 'DATA001', 1, 'I');
"""

CANDIDATES = """
INSERT INTO dc_candidate_model_list (candidate_id, batch_id, model_no, model_sub_no)
SELECT 'C001', batch_id, model_no, model_sub_no FROM dc_model WHERE batch_id = 1;
"""

ENSEMBLE = """
INSERT INTO dc_batch (batch_desc, candidate_id, mode, state)
VALUES ('ensemble credit scoring', 'C001', 'ensemble', 'I');
"""

METRICS = "tn, fp, fn, tp, threshold, accuracy, f1_score, mcc, auc, ks, pr_auc, brier, log_loss"


@pytest.fixture
def bank(tmp_path: Path, mariadb_server: MariaDB, sshd_server: SshServer) -> Iterator[Bank]:
    with real_bank(tmp_path, mariadb_server, sshd_server) as bank:
        yield bank


@pytest.mark.slow
def test_legacy_statements_train_predict_and_search_on_the_real_parts(bank: Bank) -> None:
    data = SHARED / "data" / "taiwan" / "taiwan_default.csv"
    (bank.folder / "models.toml").write_text(MODELS, encoding="utf-8")
    shown = bank.deepcredit(
        "dataset",
        "load",
        str(data),
        "--group",
        "DATA001",
        "--target",
        "default_payment_next_month",
        "--drop",
        "ID",
    )
    assert "30,000" in shown or "30000" in shown
    bank.deepcredit("model", "load", "models.toml")
    bank.sql(TRAIN)
    bank.sql(PREDICT)

    drain(bank, "SERVER_001")
    bank.sql(CANDIDATES)
    bank.sql(ENSEMBLE)
    drain(bank, "SERVER_002")

    check_models(bank)
    check_ensembles(bank)


def drain(bank: Bank, server: str) -> None:
    assert bank.launcher(server, "--drain").wait(timeout=250) == 0, bank.log()
    states = bank.sql("SELECT batch_id, state, error_text FROM dc_batch ORDER BY batch_id")
    assert {row[1] for row in states} == {"C"}, states


def check_models(bank: Bank) -> None:
    tested = bank.sql(
        "SELECT model_id, auc FROM dc_batch_result WHERE batch_id = 1 AND split = 'test'"
    )
    aucs = {model: float(auc) for model, auc in tested}
    assert max(aucs.values()) >= 0.775, aucs
    assert min(aucs["DL-DNN"], aucs["DL-TABNET"]) >= 0.74, aucs
    # The rows set aside, scored again by the stored models, give every figure again.
    trained, predicted = (
        bank.sql(
            f"SELECT model_no, model_sub_no, {METRICS} FROM dc_batch_result "
            f"WHERE batch_id = {number} AND split = 'test' ORDER BY model_no, model_sub_no"
        )
        for number in (1, 2)
    )
    assert predicted == trained


def check_ensembles(bank: Bank) -> None:
    assert bank.sql("SELECT COUNT(*) FROM v_ensemble WHERE batch_id = 3") == [["1000"]]
    tried = bank.sql(
        "SELECT split, SUM(n) FROM dc_batch_histogram "
        "WHERE batch_id = 3 AND metric = 'f1_score' GROUP BY split ORDER BY split"
    )
    assert tried == [["test", "1000000"], ["valid", "1000000"]]
    [[winner, rows, positives]] = bank.sql(
        "SELECT ensemble_no, test_tn + test_fp + test_fn + test_tp, test_fn + test_tp "
        "FROM v_ensemble WHERE batch_id = 3 AND rank_no = 1"
    )
    assert (rows, positives) == ("9000", "1991")
    members = json.loads(bank.deepcredit("ensemble", "members", "3", winner))
    stored = bank.sql(
        f"SELECT members FROM dc_batch_detail_t4 WHERE batch_id = 3 AND ensemble_no = {winner} "
        "ORDER BY round_no"
    )
    assert [json.loads(row[0]) for row in stored] == members
    assert [len({tuple(model) for model in voters}) for voters in members] == 20 * [30]
