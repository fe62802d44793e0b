"""What a train batch costs over its bare fits: 40 XGBoost variants on taiwan, two processes.

Side by side in one run: (a) a batch on MariaDB, an SFTP store and an external Dask scheduler with
two warm workers, from claim to C by the database's clock; (b) the same 40 fits in a plain loop
over two warm processes that have the matrix in memory and keep nothing.

    python -m benchmarks.training [--rounds 3]
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from configs.settings import load
from models import kind
from models.variants import Variant, expand
from pipeline import frames, preprocess, split
from storage import datasets
from storage.engine import make_engine, reading
from tests.bank import SHARED, Bank, families, real_bank
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
_data = {}


def _warm(arrays: dict) -> None:
    _data.update(arrays)


def _fit(variant: Variant) -> int:
    chosen = kind.find("ML-XGB")
    estimator = chosen.build(variant.params, seed=42, device="cpu", threads=1)
    estimator.fit(*_data["train"], eval_set=_data["valid"])
    kind.scores_of(estimator, _data["valid"][0])
    kind.scores_of(estimator, _data["test"])
    return variant.model_sub_no


def bare_seconds(bank: Bank, processes: int, rounds: int) -> list[float]:
    engine = make_engine(load({}, environ=bank.env, file=Path("none")))
    with reading(engine) as connection:
        dataset = datasets.read(connection, "DATA001", 1)
    frame = frames.read(engine, dataset)
    parts = split.make_split(
        frame.labels,
        test_size=0.3,
        validation_size=0.2,
        split_by="random",
        stratify=True,
        seed=42,
    )
    fitted = preprocess.fit(frame, parts.train)
    X = {n: preprocess.apply(fitted, frame, getattr(parts, n)) for n in ("train", "valid", "test")}
    arrays = {
        "train": (X["train"], frame.labels[parts.train]),
        "valid": (X["valid"], frame.labels[parts.valid]),
        "test": X["test"],
    }
    variants = expand(json.dumps(GRID), "ML-XGB", model_no=1)
    seconds = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_warm, initargs=(arrays,)) as pool:
        pool.map(_fit, variants[:processes], chunksize=1)
        for _ in range(rounds):
            started = time.perf_counter()
            assert len(list(pool.imap_unordered(_fit, variants, chunksize=1))) == len(variants)
            seconds.append(time.perf_counter() - started)
    return seconds


def batch_seconds(bank: Bank, rounds: int) -> list[float]:
    launcher = bank.launcher("BENCH")
    seconds = []
    for number in range(rounds + 1):
        models = "[4]" if number == 0 else "[1]"
        bank.wait(lambda: _is_idle(launcher.pid))
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


def _is_idle(launcher: int) -> bool:
    """Whether the child that a launcher keeps ready has imported all it needs, and waits."""
    spare = families(launcher, "--warm")
    try:
        return bool(spare) and spare[0].cpu_percent(interval=1.0) < 2
    except psutil.NoSuchProcess:
        return False


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
        bare = bare_seconds(bank, 2, rounds)
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
