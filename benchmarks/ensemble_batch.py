"""A whole ensemble batch against its kernel alone: 1,000,000 ensembles of 20 rounds of 30 of 374.

In turn: (a) a batch on MariaDB, an SFTP store and an external Dask scheduler with two workers, from
claim to C by the database's clock, on stored scores of 374 models on 9,000 valid and 9,000 test
rows, with keep 1000; (b) the same search by two threads of this process, which have the votes in
memory and keep nothing. The batch also learns the baselines, draws pictures and writes the report.
Processor time is what was spent, divided by the cores: what a machine of one's own would take, if
nothing had to wait for anything.

    python -m benchmarks.ensemble_batch [--rounds 3] [--keep 1000]
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from benchmarks import _batch
from benchmarks._processes import is_ready
from configs.settings import load
from ensemble.rule import Rule
from ensemble.search import Search, merge, ranges, search_range
from ensemble.votes import Part, pack
from tests.bank import Bank, real_bank
from tests.lab import Lab
from tests.mariadb import running_mariadb
from tests.sshd import running_sshd

MODELS, ROWS, ENSEMBLES, CORES = 374, 9000, 1_000_000, 2
SEARCH = Search(rule=Rule.majority(30, 20), seed=42, metric="f1_score", keep=1000)
FACTOR, SECONDS = 1.5, 5.0


def made_up() -> list[Part]:
    random = np.random.default_rng(0)
    return [pack(random.random((MODELS, ROWS)) < 0.3, random.random(ROWS) < 0.25) for _ in range(2)]


def kernel_seconds(parts: list[Part]) -> tuple[float, float]:
    """Wall time, and processor time divided by the cores."""
    started, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(CORES) as pool:
        cuts = ranges(1, ENSEMBLES + 1, 62_500)
        merge(pool.map(lambda cut: search_range(parts, SEARCH, *cut), cuts))
    return time.perf_counter() - started, (time.process_time() - worked) / CORES


def batch_seconds(bank: Bank, keep: str, ensembles: int = ENSEMBLES) -> float:
    asked = f'{{"keep": {keep}, "ensembles": {ensembles}}}'
    return _batch.seconds(bank, "ensemble", candidate_id="C001", batch_param=asked)


def spent() -> float:
    """Processor time so far of all that this process has started: database, store, workers."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", default="1000", help='a number, or "all" in quotes')
    options = parser.parse_args()
    batches, kernels, alone, busy = [], [], [], []
    parts = made_up()
    with (
        tempfile.TemporaryDirectory() as name,
        running_mariadb(Path(name, "mariadb")) as mariadb,
        running_sshd(Path(name, "sshd")) as sshd,
        real_bank(Path(name), mariadb, sshd, workers=CORES) as bank,
    ):
        lab = Lab(load({}, environ=bank.env, file=Path("none")), Path(name))
        train = lab.make_up(MODELS, valid=ROWS, test=ROWS)
        lab.list_models("C001", [(train, number, 1) for number in range(1, MODELS + 1)])
        launcher = bank.launcher("BENCH").pid
        batch_seconds(bank, options.keep, 20_000)  # the workers import, the kernel is made
        for _ in range(options.rounds):
            bank.wait(lambda: is_ready(launcher))  # or what it imports would slow the kernel down
            wall, cpu = kernel_seconds(parts)
            kernels.append(wall)
            alone.append(cpu)
            before = spent()
            batches.append(batch_seconds(bank, options.keep))
            busy.append((spent() - before) / CORES)
    kernel, batch = statistics.median(kernels), statistics.median(batches)
    allowed = FACTOR * kernel + SECONDS
    print(f"the kernel alone, {CORES} threads: {kernel:6.2f} s  {shown(kernels)}")
    print(f"  of processor time:        {statistics.median(alone):6.2f} s  {shown(alone)}")
    print(f"the whole batch, claim to C: {batch:5.2f} s  {shown(batches)}")
    print(f"  of processor time:         {statistics.median(busy):5.2f} s  {shown(busy)}")
    print(f"allowed: {FACTOR} x kernel + {SECONDS:g} s = {allowed:.2f} s")
    return int(batch > allowed)


def shown(seconds: list[float]) -> str:
    return "(" + ", ".join(f"{s:.2f}" for s in seconds) + ")"


if __name__ == "__main__":
    sys.exit(main())
