"""Claim and complete with 1 to 16 launchers, over a table with 100,000 finished batches.

Each launcher is a process of its own, as in life, and does nothing with what it claims. The server
flushes its log at every commit. An operator inserts and updates rows meanwhile, and is timed too.

Run it from the root of the repository: python -m benchmarks.claims
"""

import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from benchmarks._database import claim, connect, execute, quantile, status
from storage import batches, claims
from storage.engine import transaction
from storage.migrate import upgrade
from tests.mariadb import DURABLE, running_mariadb

FINISHED = 100_000
LAUNCHERS = (1, 4, 8, 16)
BATCHES = 3_000
OPERATIONS = 100
TARGET_RATE, TARGET_OF = 300, 8
TARGET_P99_MS = 50
LOCK_TIME = "Innodb_row_lock_time"


@dataclass(frozen=True)
class Run:
    launchers: int
    rate: float
    claims_ms: list[float]


def main() -> int:
    with tempfile.TemporaryDirectory() as name, running_mariadb(Path(name), DURABLE) as server:
        overrides = server.settings(server.new_database())
        engine = connect(overrides)
        upgrade(engine, lambda _line: None)
        execute(
            engine,
            "INSERT INTO dc_batch (mode, state, attempt, fence)"
            f" SELECT 'noop', 'C', 1, 1 FROM seq_1_to_{FINISHED}",
        )
        print(f"{FINISHED:,} finished batches in the table, {BATCHES:,} to claim and complete")
        print(
            "launchers   a second   claim p50   claim p99   operator p99 and max   waits for locks"
        )
        runs = [measure(engine, overrides, launchers) for launchers in LAUNCHERS]
        engine.dispose()
    return judge(runs)


def measure(engine: Engine, overrides: dict[str, Any], launchers: int) -> Run:
    execute(engine, f"INSERT INTO dc_batch (mode) SELECT 'noop' FROM seq_1_to_{BATCHES}")
    waits = status(engine, LOCK_TIME)
    claimed, seconds, operator = together(engine, overrides, launchers)
    waits = status(engine, LOCK_TIME) - waits
    run = Run(launchers, len(claimed) / seconds, claimed)
    assert len(claimed) == BATCHES, "a batch was lost or came twice"
    execute(engine, "DELETE FROM dc_batch WHERE state = 'I'")  # the operator's
    print(
        f"{run.launchers:9}   {run.rate:8.0f}   {quantile(claimed, 50):6.1f} ms  "
        f"{quantile(claimed, 99):7.1f} ms   {quantile(operator, 99):6.1f}, {max(operator):6.1f} ms"
        f"   {waits:4} ms in all",
        flush=True,
    )
    return run


def together(
    engine: Engine, overrides: dict[str, Any], launchers: int
) -> tuple[list[float], float, list[float]]:
    """Milliseconds of every claim, seconds for all, milliseconds of the operator's statements."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        barrier = manager.Barrier(launchers + 1)
        with context.Pool(launchers) as pool:
            results = [
                pool.apply_async(launcher, (overrides, barrier, number))
                for number in range(launchers)
            ]
            barrier.wait(120)
            started = time.perf_counter()
            operator = operate(engine)
            times = [result.get(600) for result in results]
            seconds = time.perf_counter() - started
    return [each for part in times for each in part], seconds, operator


def launcher(overrides: dict[str, Any], barrier: Barrier, number: int) -> list[float]:
    engine = connect(overrides)
    claim(engine, "warm", queue="none")
    barrier.wait(120)
    times = work(engine, f"SERVER_{number:03}")
    engine.dispose()
    return times


def work(engine: Engine, server: str) -> list[float]:
    times = []
    while True:
        started = time.perf_counter()
        batch = claim(engine, server)
        if batch is None:
            return times
        times.append((time.perf_counter() - started) * 1000)
        proof = claims.claim_of(batch)
        assert transaction(engine, lambda connection, proof=proof: claims.finish(connection, proof))


def operate(engine: Engine) -> list[float]:
    """An operator who adds a batch for other servers, then changes its priority."""
    times = []
    for _ in range(OPERATIONS):
        started = time.perf_counter()
        number = transaction(engine, lambda c: batches.add(c, mode="noop", need_tag="other"))
        times.append((time.perf_counter() - started) * 1000)
        execute(engine, f"UPDATE dc_batch SET priority = 1 WHERE batch_id = {number}", times)
        time.sleep(0.01)
    return times


def judge(runs: list[Run]) -> int:
    rate = next(run.rate for run in runs if run.launchers == TARGET_OF)
    p99 = max(quantile(run.claims_ms, 99) for run in runs if run.launchers <= TARGET_OF)
    print(f"{rate:.0f} a second with {TARGET_OF} launchers (at least {TARGET_RATE} wanted)")
    print(
        f"p99 of a claim {p99:.1f} ms, up to {TARGET_OF} launchers (under {TARGET_P99_MS} wanted)"
    )
    return 0 if rate >= TARGET_RATE and p99 < TARGET_P99_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
