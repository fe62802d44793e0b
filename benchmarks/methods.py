"""Does a search of a million ensembles pay? All methods on the same 108 models, on unseen rows.

Trains 108 models of four kinds on real data, searches a million ensembles of 30 of them, and prints
every method on valid, which chose, and on test, which judges; once for each seed of the split. At
the end it prints by how much the best of the million beats each method on test, split by split. Two
more searches, as an operator might try: among the 40 best models on valid; and a million ensembles
that are one round of 5 models, which differ more than 20 rounds of 30 do.

    python -m benchmarks.methods [--data taiwan hmeq] [--seeds 1 2 3] [--keep FOLDER]
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.quality import SETS
from tests.bank import SHARED, Bank, small_bank

METRIC = "f1_score"
MODELS = 108
OTHERS = {"vote of 40": (40, {}), "vote of 5": (MODELS, {"members": 5, "rounds": 1})}
"""Name of a search: among how many of the best models, and other parameters."""
LEARNED = {"resampling": ["none", "under", "smote"]}
GRIDS = {
    "ML-XGB": {"max_depth": [2, 3, 5], "learning_rate": [0.05, 0.1, 0.2]},
    "ML-RF": {"max_depth": [8, 14, None], "min_samples_leaf": [2, 8, 20]},
    "DL-DNN": {"hidden_units": [[32], [128], [64, 32]], "dropout": [0.0, 0.2, 0.4]},
    "DL-TABNET": {
        "n_steps": [2, 3, 4],
        "optimizer_params": [{"lr": 0.01}, {"lr": 0.02}, {"lr": 0.05}],
    },
}
COMMON = {
    "ML-XGB": {"n_estimators": 200},
    "ML-RF": {"n_estimators": 60},
    "DL-DNN": {"max_epochs": 20, "patience": 5},
    "DL-TABNET": {"max_epochs": 20, "patience": 5, "virtual_batch_size": 256},
}
"""3 x 9 = 27 models a kind, MODELS in all."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", choices=sorted(SETS), default=["taiwan", "hmeq"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--keep", type=Path, help="a folder that stays; run again, it goes on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for data in options.data:
            folder = (options.keep or Path(name)) / data
            folder.mkdir(parents=True, exist_ok=True)
            with small_bank(folder.absolute()) as bank:
                _load(bank, data)
                found = {seed: _show(bank, data, seed) for seed in options.seeds}
                _compare(data, found)
    return 0


def _load(bank: Bank, data: str) -> None:
    if bank.sql("SELECT 1 FROM dc_model_list LIMIT 1"):
        return
    for number, (kind, grid) in enumerate(GRIDS.items(), start=1):
        bank.add_model(number, kind, "M100", COMMON[kind] | {"grid": LEARNED | grid})
    file, target, drop, _ = SETS[data]
    dropped = [word for column in drop for word in ("--drop", column)]
    named = ["--group", "DATA001", "--target", target, *dropped]
    bank.deepcredit("dataset", "load", str(SHARED / "data" / file), *named)


def _train(bank: Bank, seed: int) -> int:
    columns = "dataset_group, dataset_version, model_group"
    return _batch(bank, "train", f"seed {seed}", seed, columns, "'DATA001', 1, 'M100'")


def _ensemble(bank: Bank, seed: int, train: int, models: int, **param: int) -> int:
    """An ensemble batch on the best so many models of this split, run now or earlier."""
    name = f"seed {seed} best {models}"
    memo = " ".join([name, *(f"{key} {value}" for key, value in param.items())])
    bank.sql(
        "INSERT OR IGNORE INTO dc_candidate_model_list (candidate_id, batch_id, model_no, "
        f"model_sub_no) SELECT '{name}', batch_id, model_no, model_sub_no FROM v_leaderboard "
        f"WHERE batch_id = {train} ORDER BY valid_{METRIC} DESC, model_no, model_sub_no "
        f"LIMIT {models}"
    )
    return _batch(bank, "ensemble", memo, seed, "candidate_id", f"'{name}'", **param)


def _batch(
    bank: Bank, mode: str, memo: str, seed: int, columns: str, values: str, **others: int
) -> int:
    """Add a batch, unless an earlier run did, and have it run to its end."""
    known = f"SELECT batch_id FROM dc_batch WHERE mode = '{mode}' AND batch_memo = '{memo}'"
    if not bank.sql(known):
        param = json.dumps({"randomState": seed} | others)
        bank.sql(
            f"INSERT INTO dc_batch (mode, batch_memo, batch_param, {columns}) "
            f"VALUES ('{mode}', '{memo}', '{param}', {values})"
        )
    batch_id = int(bank.sql(known)[0][0])
    if bank.state(batch_id) != "C":
        began = time.monotonic()
        launcher = bank.launcher("METHODS", "--drain")
        bank.wait(lambda: launcher.poll() is not None, 7200)
        print(f"{mode} batch {batch_id}: {time.monotonic() - began:.0f} s", flush=True)
    assert bank.state(batch_id) == "C", bank.log()
    return batch_id


def _show(bank: Bank, data: str, seed: int) -> dict[str, float]:
    """Print all methods on one split; return each one's metric on test."""
    train = _train(bank, seed)
    batch_id = _ensemble(bank, seed, train, MODELS)
    columns = "method, n_models, valid_f1_score, test_f1_score, test_low, test_high, test_auc"
    rows = bank.sql(
        f"SELECT {columns} FROM v_method WHERE batch_id = {batch_id} ORDER BY test_f1_score DESC"
    )
    print(f"\n{data}, split of seed {seed}: {METRIC}")
    print(f"{'method':9} {'models':>6} {'valid':>7} {'test':>7}   {'95 % interval':15} test AUC")
    for method, models, valid, test, low, high, auc in rows:
        print(
            f"{method:9} {models:>6} {float(valid):7.4f} {float(test):7.4f}   "
            f"{float(low):.4f}-{float(high):.4f}   {float(auc):.4f}"
        )
    print(_spread(bank, batch_id), flush=True)
    found = {row[0]: float(row[3]) for row in rows}
    for name, (models, param) in OTHERS.items():
        other = _ensemble(bank, seed, train, models, **param)
        [[valid, test]] = bank.sql(
            f"SELECT valid_{METRIC}, test_{METRIC} FROM v_method "
            f"WHERE batch_id = {other} AND method = 'vote'"
        )
        print(f"{name:10} {models:>5} {float(valid):7.4f} {float(test):7.4f}", flush=True)
        found[name] = float(test)
    return found


def _compare(data: str, found: dict[int, dict[str, float]]) -> None:
    print(f"\n{data}: {METRIC} on test of the best of a million less that of")
    for method in sorted(next(iter(found.values())).keys() - {"vote"}):
        gains = [tested["vote"] - tested[method] for tested in found.values()]
        each = " ".join(f"{gain:+.4f}" for gain in gains)
        print(f"  {method:10} {np.mean(gains):+.4f}  ({each})")


def _spread(bank: Bank, batch_id: int) -> str:
    """What the median of all ensembles has on each part."""
    found = []
    for part in ("valid", "test"):
        bins = bank.sql(
            "SELECT bin_from, bin_to, n FROM dc_batch_histogram WHERE batch_id = "
            f"{batch_id} AND metric = '{METRIC}' AND split = '{part}' AND bin_from IS NOT NULL "
            "ORDER BY bin_from"
        )
        counts = np.cumsum([int(row[2]) for row in bins])
        middle = bins[int(np.searchsorted(counts, counts[-1] / 2))]
        found.append(f"{part} {(float(middle[0]) + float(middle[1])) / 2:.4f}")
    return f"ensembles, median: {', '.join(found)}"


if __name__ == "__main__":
    sys.exit(main())
