"""374 models of all four kinds on taiwan: trained in one batch, loaded, and predicted with.

Two workers of an external Dask scheduler, an SFTP store on a local sshd, SQLite. Beside it, in the
same run, the same fits in a bare loop over two warm processes that keep nothing.

    python -m benchmarks.many_models [--rounds 3] [--keep FOLDER] [--share 0.1]

`--keep` leaves the database (deepcredit.db) and the store (sshd/files/store) in a new folder.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import _bare, _batch, _paired
from benchmarks._paired import MOST_OVERHEAD
from benchmarks._processes import is_ready, peaks
from configs.settings import Settings, load
from models import kind
from models.variants import expand
from storage import results
from storage.artifacts.opening import open_store
from storage.cache import Cache
from storage.engine import make_engine, reading
from tests.bank import SHARED, Bank, small_bank
from tests.sshd import running_sshd

DATA: dict[str, Any] = {"dataset_group": "DATA001", "dataset_version": 1}
LEGACY_LOAD, LEGACY_PREDICT = 20.0, 35.0

_REST_SECONDS = 25.0
"""After a batch, workers that have done many tasks are renewed: no bare loop shall feel it."""


def steps(first: float, last: float, count: int) -> list[float]:
    """Evenly spaced on a logarithmic scale."""
    return [round(first * (last / first) ** (n / (count - 1)), 5) for n in range(count)]


MODELS = (
    (
        *(1, "ML-XGB"),
        {
            "n_estimators": 200,
            "early_stopping_rounds": None,
            "grid": {"max_depth": [3, 5], "learning_rate": steps(0.02, 0.3, 47)},
        },
    ),
    (
        *(2, "ML-RF"),
        {
            "n_estimators": 20,
            "grid": {"max_depth": [8, 12], "min_samples_leaf": list(range(1, 48))},
        },
    ),
    (
        *(3, "DL-DNN"),
        {
            "max_epochs": 6,
            "batch_size": 256,
            "grid": {"hidden_units": [[32], [64], [64, 32]], "lr": steps(0.0005, 0.02, 31)},
        },
    ),
    (
        *(4, "DL-TABNET"),
        {
            "max_epochs": 3,
            "batch_size": 1024,
            "virtual_batch_size": 256,
            "n_steps": 2,
            "grid": {
                "n_d": [4, 8, 16],
                "optimizer_params": [{"lr": lr} for lr in steps(0.005, 0.1, 31)],
            },
        },
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="train batches between bare loops")
    parser.add_argument("--keep", type=Path, help="a new folder, which stays")
    parser.add_argument("--share", type=float, default=1.0, help="of each grid, for a quick try")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        return _measure(folder.absolute(), arguments.share, arguments.rounds)


def _measure(folder: Path, share: float, rounds: int) -> int:
    with (
        running_sshd(folder / "sshd") as sshd,
        small_bank(
            folder,
            workers=2,
            **{name.upper(): str(value) for name, value in sshd.settings("store").items()},
        ) as bank,
        peaks() as memory,
    ):
        fits = _load(bank, share)
        settings = load({}, environ=bank.env, file=Path("none"))
        launcher = bank.launcher("BENCH").pid

        def train(group: str = "M1") -> float:
            bank.wait(lambda: is_ready(launcher))
            seconds = _batch.seconds(bank, "train", model_group=group, **DATA)
            time.sleep(_REST_SECONDS)
            return seconds

        train("WARM")
        with _bare.loop(bank.env, "DATA001", fits, processes=2) as bare:
            trained = _paired.measure(train, bare, rounds)
        load_seconds = _load_all(settings, folder / "fetched", 2, len(fits))
        bank.wait(lambda: is_ready(launcher))
        predict = _batch.seconds(bank, "predict", train_batch_id=2, **DATA)
    print(f"{len(fits)} models trained in a batch, two workers", *trained.lines(), sep="\n")
    print(f"all fetched and loaded, one process: {load_seconds:.1f} s (legacy {LEGACY_LOAD:.0f} s)")
    print(f"predicted with all, claim to C:     {predict:.1f} s (legacy {LEGACY_PREDICT:.0f} s)")
    print("peak memory:", ", ".join(f"{role} {mb:.0f} MB" for role, mb in sorted(memory.items())))
    return 0 if trained.overhead <= MOST_OVERHEAD else 1


def _load(bank: Bank, share: float) -> list[_bare.Fit]:
    fits = []
    for number, model_id, param in MODELS:
        grid = {k: v[: max(1, round(len(v) * share))] for k, v in param["grid"].items()}
        text = json.dumps(param | {"grid": grid})
        bank.add_model(number, model_id, "M1", param | {"grid": grid})
        first = {k: v[:1] for k, v in grid.items()}
        bank.add_model(number + 10, model_id, "WARM", param | {"grid": first})
        fits += [(model_id, each) for each in expand(text, model_id, model_no=number)]
    data = SHARED / "data" / "taiwan" / "taiwan_default.csv"
    target = ["--target", "default_payment_next_month", "--drop", "ID"]
    bank.deepcredit("dataset", "load", str(data), "--group", "DATA001", *target)
    return fits


def _load_all(settings: Settings, cache: Path, batch_id: int, count: int) -> float:
    """Seconds in which one process has all models of a batch ready, from an empty cache."""
    for model_id in kind.available():
        kind.estimators(model_id)
    engine = make_engine(settings)
    began = time.perf_counter()
    with reading(engine) as connection:
        models = results.models(connection, batch_id)
    store = open_store(settings)
    local = Cache(cache)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda each: local.fetch(store, each.uri, each.sha256), models))
    loaded = [
        kind.estimators(model.model_id).load(path, device="cpu")
        for model, path in zip(models, paths, strict=True)
    ]
    seconds = time.perf_counter() - began
    store.close()
    engine.dispose()
    shutil.rmtree(cache)
    assert len(loaded) == count
    return seconds


if __name__ == "__main__":
    sys.exit(main())
