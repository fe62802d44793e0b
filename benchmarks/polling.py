"""What launchers that find nothing cost the database, themselves, and operators at their work.

An idle launcher, with its default settings, is watched for a while. Then 8 processes look for work
a hundred times as often as launchers do, in an empty table and in a full one where nothing is for
them, while an operator inserts and updates rows and is timed, first without them, then with them.

Run it from the root of the repository: python -m benchmarks.polling
"""

import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from benchmarks._database import claim, connect, execute, quantile, status
from launcher.service.claimer import Claimer
from launcher.service.profile import Profile
from storage import sweeping
from storage.engine import transaction
from storage.migrate import upgrade
from tests.bank import environment
from tests.mariadb import DURABLE, PASSWORD, MariaDB, running_mariadb

LAUNCHERS = 8
PAUSE_SECONDS = 0.02
OPERATIONS = 400
FINISHED, WAITING = 100_000, 10_000
IDLE_SECONDS = 60
TARGET_QUERIES, TARGET_SHARE = 1.0, 0.01
LOCK_WAITS = "Innodb_row_lock_waits"

FULL = f"""
INSERT INTO dc_batch (mode, state, attempt) SELECT 'noop', 'C', 1 FROM seq_1_to_{FINISHED};
INSERT INTO dc_batch (mode, need_tag) SELECT 'noop', 'other' FROM seq_1_to_{WAITING};
INSERT INTO dc_batch (mode, state, attempt, run_after, need_tag)
    SELECT 'noop', 'E', 1, UTC_TIMESTAMP(6), 'other' FROM seq_1_to_{WAITING};
ANALYZE TABLE dc_batch
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as name, running_mariadb(Path(name), DURABLE) as server:
        database = server.new_database()
        overrides = server.settings(database)
        engine = connect(overrides)
        upgrade(engine, lambda _line: None)
        queries, share = idle(server, engine, Path(name))
        print("                          INSERT                       UPDATE               lock")
        print("table  launchers    p50     p99     max       p50     p99     max  (ms)  waits")
        waits = 0
        for table, statements in (("empty", "SELECT 1"), ("full", FULL)):
            for statement in statements.split(";"):
                execute(engine, statement)
            for launchers in (0, LAUNCHERS):
                waits += measure(server, overrides, engine, table, launchers)
        engine.dispose()
    print(f"operators waited for a lock {waits} times (0 wanted)")
    return 0 if waits == 0 and queries <= TARGET_QUERIES and share < TARGET_SHARE else 1


def idle(server: MariaDB, engine: Engine, folder: Path) -> tuple[float, float]:
    """Queries a second and the share of a core of a launcher with nothing to do."""
    env = environment(
        folder, DATABASE_URL=server.url(engine.url.database or ""), DATABASE_PASSWORD=PASSWORD
    )
    command = [sys.executable, "-P", "-m", "launcher", "launcher", "IDLE"]
    with subprocess.Popen(
        command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        watched = psutil.Process(process.pid)
        settle(watched)
        asked, spent = status(engine, "Questions"), busy(watched)
        time.sleep(IDLE_SECONDS)
        ours = 2  # this question, and the COMMIT of the first
        queries = (status(engine, "Questions") - asked - ours) / IDLE_SECONDS
        share = (busy(watched) - spent) / IDLE_SECONDS
        process.terminate()
    print(
        f"idle launcher and its spare child, {IDLE_SECONDS} s: {queries:.2f} queries a second "
        f"(at most {TARGET_QUERIES:.0f} wanted), {100 * share:.2f} % of a core (under "
        f"{100 * TARGET_SHARE:.0f} wanted)\n"
    )
    return queries, share


def settle(process: psutil.Process) -> None:
    """Until its spare child is there and has imported what it needs."""
    while True:
        before = busy(process)
        time.sleep(2)
        if process.children() and busy(process) - before < 0.1:
            return


def busy(process: psutil.Process) -> float:
    """Processor seconds of a process and of those below it."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def measure(
    server: MariaDB, overrides: dict[str, Any], engine: Engine, table: str, launchers: int
) -> int:
    with polled(overrides, launchers), server.connect(engine.url.database or "") as connection:
        before = status(engine, LOCK_WAITS)
        inserts, updates = operate(connection)
        waits = status(engine, LOCK_WAITS) - before
    shown = "  ".join(
        f"{quantile(times, 50):6.1f}  {quantile(times, 99):6.1f}  {max(times):6.1f}"
        for times in (inserts, updates)
    )
    print(f"{table:5}  {launchers:9} {shown}        {waits:5}", flush=True)
    return waits


@contextmanager
def polled(overrides: dict[str, Any], launchers: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    ready = [context.Event() for _ in range(launchers)]
    processes = [
        context.Process(target=poll, args=(overrides, f"POLL_{number}", each, stop))
        for number, each in enumerate(ready)
    ]
    for process in processes:
        process.start()
    try:
        for each in ready:
            assert each.wait(120), "a launcher did not start"
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(60)


def poll(overrides: dict[str, Any], name: str, ready: Event, stop: Event) -> None:
    """All that a launcher with nothing to do asks, and what its questions spare it as well."""
    engine = connect(overrides)
    peeking = connect(overrides, autocommit=True)
    claimer = Claimer(engine, peeking, Profile(server_id=name), lease_seconds=120)
    while not stop.wait(PAUSE_SECONDS * random.uniform(0.5, 1.5)):
        assert claimer.next(0) is None
        assert claim(engine, name) is None
        assert not transaction(engine, sweeping.sweep)
        ready.set()


def operate(connection: Any) -> tuple[list[float], list[float]]:
    """Batches for other servers: added, brought forward, put back."""
    inserts: list[float] = []
    updates: list[float] = []
    with connection.cursor() as cursor:
        for number in range(OPERATIONS):
            timed(
                lambda: cursor.execute(
                    "INSERT INTO dc_batch (mode, need_tag) VALUES ('noop', 'other')"
                ),
                inserts,
            )
            change = f"SET priority = {number % 50} WHERE batch_id = {cursor.lastrowid}"
            timed(lambda change=change: cursor.execute(f"UPDATE dc_batch {change}"), updates)
            time.sleep(0.005)
        cursor.execute("DELETE FROM dc_batch WHERE state = 'I' AND priority < 50")
    return inserts, updates


def timed(work: Callable[[], object], times: list[float]) -> None:
    started = time.perf_counter()
    work()
    times.append((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    raise SystemExit(main())
