"""Memory of every process while a batch of all kinds is trained on 100,000 rows x 200 features.

The matrix is 80 MB, of float32. What a process takes by itself, with its libraries loaded, is
told apart from what the batch makes it take beyond that: the latter may be three times the matrix.
MariaDB, an SFTP store, an external Dask scheduler with one worker, which fits all kinds.

    python -m benchmarks.memory
"""

import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks._processes import Grown, Growth, is_ready
from models import kind
from tests.bank import Bank, real_bank
from tests.mariadb import running_mariadb
from tests.sshd import running_sshd

ROWS, FEATURES = 100_000, 200
MATRIX_MB = ROWS * FEATURES * 4 / 1e6
MOST = 3.0
PARAMS = {
    "ML-XGB": {"n_estimators": 30},
    "ML-RF": {"n_estimators": 5, "max_depth": 12},
    "DL-DNN": {"max_epochs": 1, "batch_size": 1024},
    "DL-TABNET": {"max_epochs": 1, "batch_size": 4096, "n_steps": 2},
}


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=1) as bank,
    ):
        _load(bank)
        launcher = bank.launcher("BENCH").pid
        _train(bank, 1, "SMALL")
        bank.wait(lambda: is_ready(launcher))
        found = _watched(bank)
    print(f"train batch of all kinds, {ROWS:,} x {FEATURES}: a matrix of {MATRIX_MB:.0f} MB")
    for role, grown in sorted(found.items()):
        print(
            f"{role:10} {grown.peak:5.0f} MB at most, {grown.own:5.0f} MB without pages of files; "
            f"of it the batch's {grown.growth:5.0f} MB ({_times(grown.growth):.1f} x)"
        )
    worst = max(_times(grown.growth) for grown in found.values())
    print(f"worst: {worst:.1f} times the matrix (at most {MOST:g} wanted)")
    return 0 if worst <= MOST else 1


def _times(mb: float) -> float:
    return mb * 2**20 / 1e6 / MATRIX_MB


def _watched(bank: Bank) -> dict[str, Grown]:
    """Looks until the batch ends: its own process is gone then."""
    growth = Growth()
    found: dict[str, Grown] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            for role, seen in growth.look().items():
                found[role] = found.get(role, seen).most(seen)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        _train(bank, 2, "LARGE")
    finally:
        ended.set()
        thread.join()
    return found


def _train(bank: Bank, batch_id: int, group: str) -> None:
    bank.sql(
        "INSERT INTO dc_batch (mode, dataset_group, dataset_version, model_group) "
        f"VALUES ('train', '{group}', 1, 'M')"
    )
    bank.wait(lambda: bank.state(batch_id) in "CE", 900)
    assert bank.state(batch_id) == "C", bank.log()


def _load(bank: Bank) -> None:
    for name, rows in (("SMALL", 500), ("LARGE", ROWS)):
        dice = np.random.default_rng(1)
        X = dice.normal(size=(rows, FEATURES))
        columns = {f"x{number}": X[:, number] for number in range(FEATURES)}
        columns["y"] = (X[:, 0] + dice.normal(size=rows) > 1).astype(np.int64)
        parquet.write_table(pa.table(columns), bank.folder / "rows.parquet")
        bank.deepcredit("dataset", "load", "rows.parquet", "--group", name, "--target", "y")
    for number, model_id in enumerate(kind.available(), start=1):
        bank.add_model(number, model_id, "M", PARAMS[model_id])


if __name__ == "__main__":
    sys.exit(main())
