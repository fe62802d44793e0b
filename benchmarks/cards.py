"""Fits a minute on an NVIDIA card against a core, and batches of a launcher with and without it.

First single fits, by kind and size, in one process each: on one core (all cases side by side, as on
a busy server), alone on the card, and four at once on it. From this table come the sizes at which a
fit asks for a card (`uses_gpu` in models/kinds). Then a launcher with its embedded cluster trains
batches of all kinds, of small settings and of large ones, and tries a million ensembles: once with
the card and once with CUDA_VISIBLE_DEVICES empty.

    python -m benchmarks.cards [--fits | --batches] [--ensembles 1000000]
"""

import argparse
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks import _batch
from benchmarks._processes import is_ready
from benchmarks.many_models import steps
from configs.installed import can_use_cards
from launcher.cluster.config import ONE_THREAD
from models import demand, devices, kind
from models.variants import expand
from tests.bank import Bank, small_bank

SHARING = 4
CORE_SECONDS, CARD_SECONDS = 3.0, 2.0

BOOSTED = {"n_estimators": 200, "max_depth": 5, "early_stopping_rounds": None}
SMALL_NET = {"hidden_units": [64], "batch_size": 256, "max_epochs": 6}
NET = {"hidden_units": [256, 128], "batch_size": 1024, "max_epochs": 6}
LARGE_NET = {"hidden_units": [512, 256], "batch_size": 4096, "max_epochs": 6}
SMALL_TABNET = {"n_d": 8, "n_steps": 2, "batch_size": 1024, "virtual_batch_size": 256}
TABNET = {"n_d": 16, "n_steps": 3, "batch_size": 4096, "virtual_batch_size": 1024}
LARGE_TABNET = {"n_d": 32, "n_steps": 4, "batch_size": 16_384, "virtual_batch_size": 512}
for tabnet in (SMALL_TABNET, TABNET, LARGE_TABNET):
    tabnet["max_epochs"] = 3


@dataclass(frozen=True)
class Case:
    """`rows` are trained on; a quarter as many validate."""

    model_id: str
    size: str
    params: dict[str, Any]
    rows: int
    columns: int

    def pays(self) -> bool:
        (variant,) = expand(json.dumps(self.params), self.model_id, model_no=1)
        rows = {"rows": self.rows, "all_rows": self.rows * 5 // 4}
        return demand.of_fit(self.model_id, variant, **rows, columns=self.columns).gpu > 0


CASES = (
    Case("ML-XGB", "200 trees", BOOSTED, 4_000, 20),
    Case("ML-XGB", "200 trees", BOOSTED, 16_000, 30),
    Case("ML-XGB", "200 trees", BOOSTED, 40_000, 60),
    Case("ML-XGB", "200 trees", BOOSTED, 80_000, 200),
    Case("DL-DNN", "64, batch 256", SMALL_NET, 16_000, 30),
    Case("DL-DNN", "64, batch 256", SMALL_NET, 80_000, 200),
    Case("DL-DNN", "256-128, batch 1024", NET, 16_000, 30),
    Case("DL-DNN", "256-128, batch 1024", NET, 80_000, 200),
    Case("DL-DNN", "512-256, batch 4096", LARGE_NET, 80_000, 200),
    Case("DL-TABNET", "8 x 2, batch 1024/256", SMALL_TABNET, 16_000, 30),
    Case("DL-TABNET", "8 x 2, batch 1024/256", SMALL_TABNET, 80_000, 200),
    Case("DL-TABNET", "16 x 3, batch 4096/1024", TABNET, 40_000, 60),
    Case("DL-TABNET", "32 x 4, batch 16384/512", LARGE_TABNET, 80_000, 200),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--fits", action="store_true", help="single fits alone")
    part.add_argument("--batches", action="store_true", help="batches alone")
    parser.add_argument("--ensembles", type=int, default=1_000_000)
    arguments = parser.parse_args()
    if not devices.count() or not all(map(can_use_cards, ("torch", "xgboost"))):
        print("no NVIDIA card here, or libraries built for the CPU: nothing to measure")
        return 0
    if not arguments.batches:
        single_fits()
    if not arguments.fits:
        batches(arguments.ensembles)
    return 0


def single_fits() -> None:
    os.environ.update(ONE_THREAD)
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(CASES)) as pool:
        cores = pool.map(partial(_rate, device="cpu"), CASES, chunksize=1)
    print(f"{'fits a minute':51}{'core':>8}{'card':>8}{'':7}{'shared by 4':>12}{'':7}  placed on")
    with context.Pool(1) as pool:
        for case, core in zip(CASES, cores, strict=True):
            alone = pool.apply(_rate, (case, "cuda"))
            shared = pool.apply(_rate, (case, "cuda", SHARING))
            what = f"{case.model_id:10}{case.rows:>7,} x {case.columns:<5}{case.size:26}"
            print(
                f"{what}{core:8.1f}{alone:8.1f} {alone / core:5.1f}x{shared:12.1f} "
                f"{shared / core:5.1f}x  {'card' if case.pays() else 'core'}",
                flush=True,
            )


def _rate(case: Case, device: str, threads: int = 1) -> float:
    """Fits a minute of a process; the first, which loads the libraries, is not counted."""
    params = kind.find(case.model_id).check(case.params)
    _fit(case.model_id, params, device, rows_of(1000, case.columns))
    data = rows_of(case.rows * 5 // 4, case.columns)
    began = time.perf_counter()
    enough = began + (CORE_SECONDS if device == "cpu" else CARD_SECONDS)

    def several(_: int) -> int:
        done = 0
        while not done or time.perf_counter() < enough:
            _fit(case.model_id, params, device, data)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(several, range(threads)))
    return 60 * done / (time.perf_counter() - began)


def _fit(model_id: str, params: dict[str, Any], device: str, data: tuple[np.ndarray, ...]) -> None:
    X, y = data
    cut = len(y) * 4 // 5
    estimator = kind.estimators(model_id).build(params, seed=1, device=device)
    estimator.fit(X[:cut], y[:cut], eval_set=(X[cut:], y[cut:]))
    kind.scores_of(estimator, X[cut:])


def rows_of(count: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up applicants, of whom three columns tell something, and who was in arrears."""
    dice = np.random.default_rng(0)
    X = dice.normal(size=(count, columns)).astype(np.float32)
    y = X[:, 0] + X[:, 1] * X[:, 2] + dice.normal(size=count) > 0.8
    return X, y.astype(np.int8)


BATCHES: dict[str, tuple[int, int, list[tuple[str, dict[str, Any], str, list[Any]]]]] = {
    "SMALL": (
        *(30_000, 30),
        [
            ("ML-XGB", BOOSTED, "learning_rate", steps(0.02, 0.3, 48)),
            ("ML-RF", {"n_estimators": 20}, "min_samples_leaf", list(range(1, 49))),
            ("DL-DNN", SMALL_NET, "lr", steps(0.0005, 0.02, 48)),
            ("DL-TABNET", SMALL_TABNET, "lambda_sparse", steps(0.0001, 0.01, 48)),
        ],
    ),
    "LARGE": (
        *(100_000, 100),
        [
            ("ML-XGB", BOOSTED, "learning_rate", steps(0.02, 0.3, 24)),
            ("ML-RF", {"n_estimators": 20, "max_depth": 12}, "min_samples_leaf", [1, 2, 4, 8]),
            ("DL-DNN", LARGE_NET, "lr", steps(0.0005, 0.02, 24)),
            ("DL-TABNET", LARGE_TABNET, "lambda_sparse", steps(0.0001, 0.01, 8)),
        ],
    ),
}
"""Rows, columns, and models, each with the values of one parameter."""


def batches(ensembles: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        for shown in (None, ""):
            folder = Path(name, "card" if shown is None else "cpu")
            folder.mkdir()
            hidden = {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}
            with small_bank(folder) as bank:
                bank.env = dict(bank.env) | hidden
                _batches(bank, folder.name, ensembles)


def _batches(bank: Bank, where: str, ensembles: int) -> None:
    numbers = itertools.count(1)
    for name, (rows, columns, models) in BATCHES.items():
        _load(bank, name, rows, columns)
        for number, (model_id, params, varied, values) in zip(numbers, models, strict=False):
            bank.add_model(number, model_id, name, params | {"grid": {varied: values}})
    launcher = bank.launcher("BENCH").pid
    for name in ("SMALL", *BATCHES):  # the first one finds workers without their libraries
        bank.wait(lambda: is_ready(launcher))
        seconds = _batch.seconds(
            bank, "train", dataset_group=name, dataset_version=1, model_group=name
        )
        [[fits, on_card]] = bank.sql(
            "SELECT COUNT(*), SUM(device = 'cuda') FROM dc_model WHERE batch_id = "
            "(SELECT MAX(batch_id) FROM dc_batch)"
        )
        print(
            f"{where:5} {name:6} {fits:>4} fits, {on_card:>4} on the card: {seconds:6.1f} s, "
            f"{60 * int(fits) / seconds:6.0f} a minute",
            flush=True,
        )
    bank.deepcredit("candidates", "add", "C001", "--from-batch", "1")
    bank.wait(lambda: is_ready(launcher))
    asked = json.dumps({"ensembles": ensembles})
    seconds = _batch.seconds(bank, "ensemble", candidate_id="C001", batch_param=asked)
    print(f"{where:5} {ensembles:,} ensembles, a whole batch: {seconds:.1f} s", flush=True)


def _load(bank: Bank, name: str, rows: int, columns: int) -> None:
    X, y = rows_of(rows, columns)
    table = {f"x{number}": X[:, number] for number in range(columns)} | {"y": y.astype(np.int64)}
    parquet.write_table(pa.table(table), bank.folder / "rows.parquet")
    bank.deepcredit("dataset", "load", "rows.parquet", "--group", name, "--target", "y")


if __name__ == "__main__":
    sys.exit(main())
