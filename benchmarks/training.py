"""What a train batch costs over its bare fits: 40 XGBoost variants on taiwan, two processes.

Side by side in one run: (a) a batch on MariaDB, an SFTP store and an external Dask scheduler with
two warm workers, from claim to C by the database's clock; (b) the same 40 fits in a plain loop
over two warm processes that have the matrix in memory and keep nothing.

    python -m benchmarks.training [--rounds 3]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks import _bare
from benchmarks._processes import is_ready
from models.variants import expand
from tests.bank import SHARED, Bank, real_bank
from tests.mariadb import running_mariadb
from tests.sshd import running_sshd

GRID = {
    "grid": {
        "max_depth": [3, 4, 5, 6],
        "learning_rate": [0.03, 0.05, 0.07, 0.1, 0.2],
        "min_child_weight": [1, 5],
    },
    "n_estimators": 400,
    "early_stopping_rounds": None,
}


def batch_seconds(bank: Bank, rounds: int) -> list[float]:
    launcher = bank.launcher("BENCH")
    seconds = []
    for number in range(rounds + 1):
        models = "[4]" if number == 0 else "[1]"
        bank.wait(lambda: is_ready(launcher.pid))
        bank.sql(
            "INSERT INTO dc_batch (mode, dataset_group, dataset_version, model_group, batch_param)"
            f" VALUES ('train', 'DATA001', 1, 'M1', '{{\"models\": {models}}}')"
        )
        batch_id = number + 1
        bank.wait(lambda batch_id=batch_id: bank.state(batch_id) in "CE", 600)
        assert bank.state(batch_id) == "C", bank.log()
        took = bank.sql(
            "SELECT TIMESTAMPDIFF(MICROSECOND, work_date, work_end_date) / 1e6 FROM dc_batch "
            f"WHERE batch_id = {batch_id}"
        )
        if number:
            seconds.append(float(took[0][0]))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=2) as bank,
    ):
        _load(bank)
        batches = batch_seconds(bank, rounds)
        bank.close()
        fits = [("ML-XGB", variant) for variant in expand(json.dumps(GRID), "ML-XGB", model_no=1)]
        bare = _bare.seconds(bank.env, "DATA001", fits, processes=2, rounds=rounds)
    batch, loop = statistics.median(batches), statistics.median(bare)
    print(f"train batch, 40 XGBoost variants, claim to C: {batch:6.2f} s  {_all(batches)}")
    print(f"the same fits in a bare loop:                 {loop:6.2f} s  {_all(bare)}")
    print(f"overhead: {batch / loop - 1:+.1%} (at most 10 %)")


def _load(bank: Bank) -> None:
    small = {"model_no": 4, "model_id": "ML-XGB", "param": {"n_estimators": 5}}
    entries = [{"model_no": 1, "model_id": "ML-XGB", "param": GRID}, small]
    for entry in entries:
        param = json.dumps(entry["param"])
        bank.sql(
            "INSERT INTO dc_model_list (model_no, model_id, model_group_id, model_param) "
            f"VALUES ({entry['model_no']}, '{entry['model_id']}', 'M1', '{param}')"
        )
    data = SHARED / "data" / "taiwan" / "taiwan_default.csv"
    target = ["--target", "default_payment_next_month", "--drop", "ID"]
    bank.deepcredit("dataset", "load", str(data), "--group", "DATA001", *target)


def _all(seconds: list[float]) -> str:
    return "(" + ", ".join(f"{s:.2f}" for s in seconds) + ")"


if __name__ == "__main__":
    main()
