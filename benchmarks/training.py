"""What a train batch costs over its bare fits: 40 XGBoost variants on taiwan, two processes.

Side by side in one run: (a) a batch on MariaDB, an SFTP store and an external Dask scheduler with
two warm workers, from claim to C by the database's clock; (b) the same 40 fits in a plain loop
over two warm processes that have the matrix in memory and keep nothing.

    python -m benchmarks.training [--rounds 3]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import _bare, _batch, _paired
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    fits = [("ML-XGB", variant) for variant in expand(json.dumps(GRID), "ML-XGB", model_no=1)]
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=2) as bank,
    ):
        _load(bank)
        launcher = bank.launcher("BENCH").pid
        _batch_seconds(bank, launcher, models=[4])  # workers import their libraries
        with _bare.loop(bank.env, "DATA001", fits, processes=2) as bare:
            found = _paired.measure(
                lambda: _batch_seconds(bank, launcher, models=[1]), bare, rounds
            )
    print("40 XGBoost variants trained in a batch, two workers", *found.lines(), sep="\n")
    return 0 if found.overhead <= _paired.MOST_OVERHEAD else 1


def _batch_seconds(bank: Bank, launcher: int, *, models: list[int]) -> float:
    bank.wait(lambda: is_ready(launcher))
    asked = {"dataset_group": "DATA001", "dataset_version": 1, "model_group": "M1"}
    return _batch.seconds(bank, "train", batch_param=f'{{"models": {models}}}', **asked)


def _load(bank: Bank) -> None:
    bank.add_model(1, "ML-XGB", "M1", GRID)
    bank.add_model(4, "ML-XGB", "M1", {"n_estimators": 5})
    data = SHARED / "data" / "taiwan" / "taiwan_default.csv"
    target = ["--target", "default_payment_next_month", "--drop", "ID"]
    bank.deepcredit("dataset", "load", str(data), "--group", "DATA001", *target)


if __name__ == "__main__":
    sys.exit(main())
