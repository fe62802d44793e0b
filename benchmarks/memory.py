"""Memory of every process while models are trained on 100,000 rows x 200 features.

The data set's doubles are 160 MB, the matrix that fits read is half of that, of float32. One batch
of each kind alone, then one of all kinds together, each with an installation of its own: MariaDB,
an SFTP store, an external Dask scheduler with one worker, which then loads what every kind needs.

    python -m benchmarks.memory
"""

import sys
import tempfile
import threading
from collections.abc import Sequence
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
DOUBLES_MB = 2 * MATRIX_MB
MOST = 3.0
PARAMS = {
    "ML-XGB": {"n_estimators": 30},
    "ML-RF": {"n_estimators": 5, "max_depth": 12},
    "DL-DNN": {"max_epochs": 1, "batch_size": 1024},
    "DL-TABNET": {"max_epochs": 1, "batch_size": 4096, "n_steps": 2},
}


def main() -> int:
    print(f"{ROWS:,} x {FEATURES}: {DOUBLES_MB:.0f} MB of doubles, a matrix of {MATRIX_MB:.0f} MB")
    print("kinds      process    at most     its own     the batch's")
    alone = [each for name in kind.available() for each in _shown(name, [name])]
    together = _shown("all", kind.available())
    every = alone + together
    figures = (
        ("a process, one kind a batch", max(each.peak for each in alone) / DOUBLES_MB, "doubles"),
        ("its own, any batch", max(each.own for each in every) / DOUBLES_MB, "doubles"),
        ("the batch's, any batch", max(each.growth for each in every) / MATRIX_MB, "matrix"),
    )
    for what, times, of in figures:
        print(f"{what}: {times:.2f} times the {of} (at most {MOST:g} wanted)")
    return 0 if all(times <= MOST for _, times, _ in figures) else 1


def _shown(name: str, kinds: Sequence[str]) -> list[Grown]:
    found = _measured(kinds)
    for role, grown in sorted(found.items()):
        sizes = (f"{mb:4.0f} MB" for mb in (grown.peak, grown.own, grown.growth))
        print(f"{name:10} {role:10} " + "     ".join(sizes), flush=True)
    return list(found.values())


def _measured(kinds: Sequence[str]) -> dict[str, Grown]:
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=1) as bank,
    ):
        _load(bank, kinds)
        launcher = bank.launcher("BENCH").pid
        _train(bank, 1, "SMALL")
        bank.wait(lambda: is_ready(launcher))
        return _watched(bank)


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


def _load(bank: Bank, kinds: Sequence[str]) -> None:
    for name, rows in (("SMALL", 500), ("LARGE", ROWS)):
        dice = np.random.default_rng(1)
        X = dice.normal(size=(rows, FEATURES))
        columns = {f"x{number}": X[:, number] for number in range(FEATURES)}
        columns["y"] = (X[:, 0] + dice.normal(size=rows) > 1).astype(np.int64)
        parquet.write_table(pa.table(columns), bank.folder / "rows.parquet")
        bank.deepcredit("dataset", "load", "rows.parquet", "--group", name, "--target", "y")
    for number, model_id in enumerate(kinds, start=1):
        bank.add_model(number, model_id, "M", PARAMS[model_id])


if __name__ == "__main__":
    sys.exit(main())
