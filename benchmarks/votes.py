"""A million ensembles of 20 rounds of 30 of 374 models, against plain NumPy on the same cores.

    python -m benchmarks.votes [--ensembles 1000000] [--rounds 3] [--cores 2]

NumPy is timed on a sample, with the members handed to it, by as many processes as ours has
threads, in turn with ours, and scaled: plain, and with its sums in bytes. Wall time is the best of
the rounds. A machine that others use is slower than its processor: "alone" is the processor time
spent, divided by the cores.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ensemble import reference
from ensemble.card import proven_count
from ensemble.native import Instructions
from ensemble.rule import Rule
from ensemble.search import Search, merge, ranges, search_range
from ensemble.votes import Part, count, members, pack
from models import devices
from models.metrics import confusion

MODELS, ROWS, SEED = 374, 9000, 42
RULE = Rule.majority(30, 20)
SAMPLE = 40  # ensembles that NumPy evaluates, for each core and round
CHUNK = 10_000
TARGET_SECONDS, TARGET_RATIO, TARGET_MEMORY = 8.0, 200.0, 1000.0


@dataclass(frozen=True)
class Timed:
    wall: float
    cpu: float


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--ensembles", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cores", type=int, default=2)
    options.add_argument("--child", choices=["start", "memory"], help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.child:
        print(json.dumps(start() if args.child == "start" else memory(args.cores)))
        return 0
    print(f"{MODELS} models, {RULE}, {Instructions.available()[0].name}, {args.cores} cores")
    for name in ("first process", "next process"):
        figures = child("start")
        print(
            f"{name}: {figures['process']:.2f} s from start to end, of which machine code is made "
            f"in {figures['code']:.3f} s ({figures['code_cpu']:.3f} s of a core)"
        )
    good = headline(args.ensembles, args.rounds, args.cores)
    scaling(args.rounds, args.cores)
    return 0 if good else 1


def headline(ensembles: int, rounds: int, cores: int) -> bool:
    """The contract's figures: true if they hold."""
    votes, labels = problem(2 * ROWS)
    parts = [pack(votes[:, rows], labels[rows]) for rows in (slice(ROWS), slice(ROWS, None))]
    ours, both, slow, bytewise = [], [], [], []
    for _ in range(rounds):
        slow.append(by_numpy(votes[:, :ROWS], labels[:ROWS], cores, reference.decide))
        bytewise.append(by_numpy(votes[:, :ROWS], labels[:ROWS], cores, decide_bytewise))
        ours.append(timed(lambda: evaluate(parts[:1], ensembles, cores)))
        both.append(timed(lambda: evaluate(parts, ensembles, cores)))
    check(votes[:, :ROWS], labels[:ROWS], parts[0])
    best, scale = quickest(ours), ensembles / (SAMPLE * cores)
    show(f"{ensembles:,} ensembles on {ROWS:,} rows", best, cores, ensembles)
    ratios = []
    for name, runs in (("plain", slow), ("bytewise", bytewise)):
        numpy = quickest(runs)
        ratios.append((numpy.wall * scale / best.wall, numpy.cpu * scale / best.cpu))
        print(
            f"  NumPy, {name}: {numpy.wall * scale:.0f} s wall, {numpy.cpu * scale / cores:.0f} s "
            f"alone, from {SAMPLE * cores} ensembles: {ratios[-1][0]:.0f} times ours by wall time, "
            f"{ratios[-1][1]:.0f} by processor time; same integers"
        )
    show(f"the same on {ROWS:,} + {ROWS:,} rows", quickest(both), cores, ensembles)
    if devices.count():
        by_gpu = proven_count()
        by_gpu(parts[:1], RULE, SEED, 1, 2)  # the kernels are made
        show(
            "  by the GPU",
            timed(lambda: by_gpu(parts[:1], RULE, SEED, 1, ensembles + 1)),
            1,
            ensembles,
        )
    search = Search(rule=RULE, seed=SEED, metric="f1_score", keep=1000)
    searched = timed(lambda: explore(parts, search, ensembles, cores))
    show("  with the 1,000 best and all histograms", searched, cores, ensembles)
    seconds = min(best.wall, best.cpu / cores) * 1_000_000 / ensembles
    peak = child("memory", cores)["peak"]
    print(f"peak memory of a process with 150,000 rows: {peak:.0f} MB")
    print(
        f"wanted of a million on {ROWS:,} rows: {TARGET_SECONDS:g} s (wall or alone, the lesser: "
        f"{seconds:.2f}), {TARGET_RATIO:g} times plain NumPy (the lesser: {min(ratios[0]):.0f})"
    )
    return seconds <= TARGET_SECONDS and min(ratios[0]) >= TARGET_RATIO and peak < TARGET_MEMORY


def scaling(rounds: int, cores: int) -> None:
    def measure(what: str, part: Part, ensembles: int, using: Instructions | None = None) -> Timed:
        runs = [timed(lambda: evaluate([part], ensembles, cores, using)) for _ in range(rounds)]
        show(what, quickest(runs), cores, ensembles)
        return quickest(runs)

    for rows in (1000, 9000, 30_000, 150_000):
        ensembles = max(2000, 180_000_000 // rows // 1000 * 1000)
        best = measure(f"{rows:,} rows, {ensembles:,} ensembles", pack(*problem(rows)), ensembles)
        print(f"  {best.cpu / ensembles / rows * 1e9:.3f} ns an ensemble and row")
    part = pack(*problem(ROWS))
    for ensembles in (10_000, 100_000, 400_000):
        measure(f"{ROWS:,} rows, {ensembles:,} ensembles", part, ensembles)
    for using in Instructions.available():
        measure(f"{ROWS:,} rows, 40,000 ensembles, {using.name} alone", part, 40_000, using)


def problem(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Votes of models that agree as models do, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.random(rows) < 0.22
    believed = rng.normal(size=rows) + 1.2 * labels
    votes = np.empty((MODELS, rows), dtype=np.bool_)
    for vote in votes:
        vote[:] = believed + rng.normal(size=rows) * 0.8 > 0.9
    return votes, labels


def evaluate(parts, ensembles, cores, instructions=None) -> None:
    cuts = ranges(1, ensembles + 1, min(CHUNK, max(1, ensembles // (4 * cores))))
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda cut: count(parts, RULE, SEED, *cut, instructions).shape, cuts))


def explore(parts, search, ensembles, cores) -> None:
    with ThreadPoolExecutor(cores) as pool:
        cuts = ranges(1, ensembles + 1, CHUNK)
        merge(pool.map(lambda cut: search_range(parts, search, *cut), cuts))


def by_numpy(votes, labels, cores, decide) -> Timed:
    """NumPy's time for SAMPLE ensembles on each core."""
    members = drawn(SAMPLE * cores).reshape(cores, SAMPLE, RULE.rounds, RULE.members)
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(abs, range(cores)))  # processes are up
        started = time.perf_counter()
        runs = [pool.submit(sample, votes, labels, some, decide) for some in members]
        spent = sum(run.result() for run in runs)
        return Timed(time.perf_counter() - started, spent)


def sample(votes, labels, members, decide) -> float:
    started = time.process_time()
    for chosen in members:
        confusion(decide(votes, chosen, RULE), labels)
    return time.process_time() - started


def decide_bytewise(votes, members, rule):
    """The reference, with sums kept in bytes: as fast as NumPy was made to do it."""
    ones = np.zeros(votes.shape[1], dtype=np.uint8)
    for chosen in members:
        ones += votes.view(np.uint8)[chosen].sum(axis=0, dtype=np.uint8) >= rule.round_votes
    return ones >= rule.final_votes


def drawn(ensembles: int) -> np.ndarray:
    return np.stack([members(RULE, SEED, number, MODELS) for number in range(1, ensembles + 1)])


def check(votes, labels, part) -> None:
    expected = reference.count(votes, labels, RULE, SEED, 1, SAMPLE + 1)
    for chosen in drawn(3):
        if not np.array_equal(
            reference.decide(votes, chosen, RULE), decide_bytewise(votes, chosen, RULE)
        ):
            raise SystemExit("NumPy decides otherwise with bytes")
    for instructions in Instructions.available():
        got = count([part], RULE, SEED, 1, SAMPLE + 1, instructions)[0]
        if not np.array_equal(expected, got):
            raise SystemExit(f"{instructions} counts otherwise than the reference")


def start() -> dict[str, float]:
    """What the first count of a fresh process waits for."""
    part = pack(np.ones((MODELS, 512), dtype=np.bool_), np.arange(512) % 2 == 0)
    first, second = (timed(lambda: count([part], RULE, SEED, 1, 2)) for _ in range(2))
    return {"code": first.wall - second.wall, "code_cpu": first.cpu - second.cpu}


def memory(cores: int) -> dict[str, float]:
    """Peak memory, in MB, of a process that searches 150,000 rows. Votes are packed a model at a
    time, as they come from stored scores."""
    rng = np.random.default_rng(0)
    labels = rng.random(150_000) < 0.22
    votes = (rng.random(150_000, dtype=np.float32) < 0.3 for _ in range(MODELS))
    part = pack(votes, labels, models=MODELS)
    search = Search(rule=RULE, seed=SEED, metric="f1_score", keep=1000)
    explore([part], search, 2000, cores)
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def child(what: str, cores: int = 2) -> dict[str, float]:
    """What a fresh process finds, and how long it took from its start to its end."""
    command = [sys.executable, "-m", "benchmarks.votes", "--child", what, "--cores", str(cores)]
    started = time.perf_counter()
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"process": time.perf_counter() - started, **json.loads(lines)}


def timed(work) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timed(time.perf_counter() - wall, time.process_time() - cpu)


def quickest(runs: list[Timed]) -> Timed:
    return Timed(min(run.wall for run in runs), min(run.cpu for run in runs))


def show(what: str, best: Timed, cores: int, ensembles: int) -> None:
    print(
        f"{what}: {best.wall:.2f} s wall, {best.cpu / cores:.2f} s alone on {cores} cores "
        f"({best.cpu / ensembles * 1e6:.2f} us of a core an ensemble)"
    )


if __name__ == "__main__":
    raise SystemExit(main())
