"""Memory of every process while 100,000 rows x 200 features are loaded, and models of them trained
and applied.

The data set's doubles are 160 MB, the matrix that fits read is half of that, of float32. Batches of
each kind alone, then of all together, with MariaDB, an SFTP store and an external Dask scheduler
with one worker, which has the libraries of all kinds from fits on a small data set before.

    python -m benchmarks.memory
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks import _batch
from benchmarks._processes import is_ready, peaks
from models import kind
from tests.bank import Bank, real_bank
from tests.mariadb import running_mariadb
from tests.sshd import running_sshd

ROWS, FEATURES = 100_000, 200
MATRIX_MB = ROWS * FEATURES * 4 / 1e6
DOUBLES_MB = 2 * MATRIX_MB
MOST = 3.0
ALL = "ALL"
_LOOK_SECONDS = 0.1
PARAMS = {
    "ML-XGB": {"n_estimators": 30},
    "ML-RF": {"n_estimators": 5, "max_depth": 12},
    "DL-DNN": {"max_epochs": 1, "batch_size": 1024},
    "DL-TABNET": {"max_epochs": 1, "batch_size": 4096, "n_steps": 2},
}


def main() -> int:
    print(f"{ROWS:,} x {FEATURES}: {DOUBLES_MB:.0f} MB of doubles, a matrix of {MATRIX_MB:.0f} MB")
    most = 0.0
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=1) as bank,
    ):
        _add_models(bank)
        launcher = bank.launcher("BENCH").pid
        _load(bank, "SMALL", 500)
        _batch.seconds(bank, "train", **_data("SMALL"), model_group=ALL)
        _batch.seconds(bank, "predict", **_data("SMALL"), train_batch_id=1)
        with _showing("load, CSV") as peak:
            _load(bank, "LARGE", ROWS)
        most = max(most, peak())
        for number, group in enumerate((*kind.available(), ALL), start=1):
            of_mode: dict[str, dict[str, str | int]] = {
                "train": {"model_group": group},
                "predict": {"train_batch_id": 2 * number + 1},
            }
            for mode, columns in of_mode.items():
                bank.wait(lambda: is_ready(launcher))
                with _showing(f"{mode} {group}") as peak:
                    _batch.seconds(bank, mode, **_data("LARGE"), **columns)
                most = max(most, peak())
    times = most / DOUBLES_MB
    print(f"a process: {times:.2f} times the doubles (at most {MOST:g} wanted)")
    return 0 if times <= MOST else 1


@contextmanager
def _showing(what: str) -> Iterator[Callable[[], float]]:
    """Print at the end what each process took; yields what the largest did."""
    with peaks(_LOOK_SECONDS) as found:
        yield lambda: max(found.values())
    sizes = ", ".join(f"{role} {most:.0f}" for role, most in sorted(found.items()))
    print(f"{what:18} {sizes} MB", flush=True)


def _data(group: str) -> dict[str, str | int]:
    return {"dataset_group": group, "dataset_version": 1}


def _load(bank: Bank, name: str, rows: int) -> None:
    """By a process of its own, for its memory to be seen."""
    dice = np.random.default_rng(1)
    X = dice.normal(size=(rows, FEATURES))
    columns = {f"x{number}": X[:, number] for number in range(FEATURES)}
    columns["y"] = (X[:, 0] + dice.normal(size=rows) > 1).astype(np.int64)
    csv.write_csv(pa.table(columns), bank.folder / "rows.csv")
    load = ("dataset", "load", "rows.csv", "--group", name, "--target", "y")
    command = [sys.executable, "-P", "-m", "launcher", *load]
    subprocess.run(command, cwd=bank.folder, env=dict(bank.env), check=True, capture_output=True)


def _add_models(bank: Bank) -> None:
    for number, model_id in enumerate(kind.available(), start=1):
        bank.add_model(number, model_id, model_id, PARAMS[model_id])
        bank.add_model(number + 10, model_id, ALL, PARAMS[model_id])


if __name__ == "__main__":
    sys.exit(main())
