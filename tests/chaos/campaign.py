"""Launchers at work on no-op batches while a seeded hand breaks things around them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bank import ROOT, environment
from tests.chaos.invariants import Ended, read, violations
from tests.mariadb import PASSWORD, MariaDB

ZONES = ("Asia/Seoul", "America/New_York", "UTC", "Pacific/Kiritimati")
CLOCKS = ("+1h", "-1h", None)
_KEYS = 5
_ATTEMPTS = "SELECT COUNT(*) FROM dc_batch_attempt"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. Equal plans throw equal dice; what the dice hit depends on the machine.

    `lingering` is the share of batches that take up to `longest` seconds, so that a run which was
    frozen past its lease wakes while another runs its batch.
    """

    batches: int
    launchers: int = 8
    seed: int = 1
    guard: str = "claim"
    lease_seconds: float = 1.5
    lingering: float = 0.12
    longest: float = 1.0
    faults_an_attempt: float = 0.25
    kills_a_second: float = 10.0
    restarts: int = 1
    limit_seconds: float = 3600.0


@dataclass
class Report:
    batches: list[Ended]
    broken: list[str]
    done: Counter[str]
    seconds: float

    def lines(self) -> list[str]:
        outcomes = Counter(a.outcome for batch in self.batches for a in batch.attempts)
        states = Counter(batch.state for batch in self.batches)
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        return [
            f"faults: {faults}",
            f"batches: {len(self.batches)} in {self.seconds:.0f} s, by state {dict(states)}",
            f"attempts: {sum(outcomes.values())}, by outcome {dict(outcomes)}",
            f"violations: {len(self.broken)}",
            *(f"  {line}" for line in self.broken[:20]),
        ]


@dataclass
class Campaign:
    plan: Plan
    server: MariaDB
    folder: Path
    tell: Callable[[str], None] = lambda line: None
    done: Counter[str] = field(default_factory=Counter)
    stopped: dict[int, float] = field(default_factory=dict)
    launchers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.plan.seed)
        self.database = self.server.new_database()
        self.env = environment(
            self.folder,
            DATABASE_URL=self.server.url(self.database),
            DATABASE_PASSWORD=PASSWORD,
            LEASE_SECONDS=str(self.plan.lease_seconds),
            POLL_SECONDS="0.2",
        )
        self.store = self.folder / "noop"

    def run(self) -> Report:
        """Add the batches, break things until all are at their end, and look at what is left."""
        self._deepcredit("db", "upgrade")
        self._add()
        started = time.monotonic()
        try:
            self._fight(started + self.plan.limit_seconds)
        finally:
            self._end_all()
        with self.server.connect(self.database) as connection:
            batches = read(connection)
        broken = violations(batches, self.store, self.plan.batches)
        return Report(batches, broken, self.done, time.monotonic() - started)

    def _fight(self, deadline: float) -> None:
        for number in range(self.plan.launchers):
            self._start(f"CHAOS_{number}")
        faults = [self._kill_launcher, *[self._kill_child] * 3, *[self._freeze] * 4]
        restarts = [(i + 1) / (self.plan.restarts + 1) for i in range(self.plan.restarts)]
        next_kill = next_look = 0.0
        thrown = 0
        left = self.plan.batches
        while left and time.monotonic() < deadline:
            now = time.monotonic()
            self._thaw(now)
            if now >= next_kill:
                self._kill_connection()
                next_kill = now + 1 / self.plan.kills_a_second
            if now >= next_look:
                # Faults keep step with the work, so that a slow machine gets on with it too.
                due = self.plan.faults_an_attempt * int(self._sql(_ATTEMPTS))
                for _ in range(min(self.plan.launchers, int(due) - thrown)):
                    self.dice.choice(faults)()
                    thrown += 1
                left = self._unfinished()
                next_look = now + 0.5
                self.tell(f"{left} of {self.plan.batches} left, {dict(self.done)}")
                if restarts and 1 - left / self.plan.batches >= restarts[0]:
                    restarts.pop(0)
                    self._restart_database()
            time.sleep(0.02)
        # Attempts of runs that lost their batch are closed by a sweep; nothing may be left open.
        self._thaw(float("inf"))

    def _add(self) -> None:
        rows = []
        for _ in range(self.plan.batches):
            key = f"'key{self.dice.randrange(_KEYS)}'" if self.dice.random() < 0.05 else "NULL"
            rows.append(f"('noop', {key}, 30)")
        columns = "mode, concurrency_key, max_attempts"
        self._sql(f"INSERT INTO dc_batch ({columns}) VALUES {', '.join(rows)}")

    def _start(self, name: str) -> None:
        child = [sys.executable, "-P", str(ROOT / "tests/chaos/child.py")]
        work = [self.plan.lingering, self.plan.longest]
        arguments = [str(self.plan.seed), self.plan.guard, str(self.store), *map(str, work)]
        skew = _skewed(self.dice.choice(CLOCKS))
        self.launchers[name] = subprocess.Popen(
            [
                *(sys.executable, "-P", str(ROOT / "tests/chaos/launcher.py")),
                *(name, self.plan.guard, "1", *child, *arguments),
            ],
            env=self.env | {"TZ": self.dice.choice(ZONES)} | skew,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.done["launchers started"] += 1
        self.done["with a wrong clock"] += bool(skew)

    def _kill_launcher(self) -> None:
        name = self.dice.choice(sorted(self.launchers))
        self._signal(self.launchers[name].pid, signal.SIGKILL)
        self.launchers[name].wait()
        self.done["launchers killed"] += 1
        self._start(name)

    def _kill_child(self) -> None:
        children = self._children()
        if children:
            self._signal(self.dice.choice(children), signal.SIGKILL)
            self.done["children killed"] += 1

    def _freeze(self) -> None:
        """Stop a launcher, or its child, or both, for longer than the lease: a real zombie."""
        name = self.dice.choice(sorted(self.launchers))
        launcher = self.launchers[name].pid
        victims = self.dice.choice([[launcher], [launcher, *_below(launcher)]])
        until = time.monotonic() + self.plan.lease_seconds * self.dice.uniform(1.2, 2.5)
        for pid in victims:
            self._signal(pid, signal.SIGSTOP)
            self.stopped[pid] = until
        self.done["processes frozen past the lease"] += len(victims)

    def _thaw(self, now: float) -> None:
        for pid in [pid for pid, until in self.stopped.items() if until <= now]:
            del self.stopped[pid]
            self._signal(pid, signal.SIGCONT)

    def _kill_connection(self) -> None:
        sql = (
            "SELECT id FROM information_schema.processlist "
            f"WHERE db = '{self.database}' AND id <> CONNECTION_ID()"
        )
        ids = [row for row in self._sql(sql).split() if row]
        if ids:
            self._try_sql(f"KILL CONNECTION {self.dice.choice(ids)}")
            self.done["connections killed"] += 1

    def _restart_database(self) -> None:
        self.server.kill()
        self.server.start()
        self.done["database killed and restarted"] += 1

    def _unfinished(self) -> int:
        open_attempts = "SELECT COUNT(*) FROM dc_batch_attempt WHERE finished_at IS NULL"
        waiting = (
            "SELECT COUNT(*) FROM dc_batch "
            "WHERE state IN ('I', 'U') OR (state = 'E' AND run_after IS NOT NULL)"
        )
        return int(self._sql(waiting)) or int(self._sql(open_attempts))

    def _children(self) -> list[int]:
        return [pid for launcher in self.launchers.values() for pid in _below(launcher.pid)]

    def _end_all(self) -> None:
        for launcher in self.launchers.values():
            for pid in [*_below(launcher.pid), launcher.pid]:
                self._signal(pid, signal.SIGKILL)
            launcher.wait()

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self.done["came too late"] += 1

    def _sql(self, statement: str) -> str:
        return self._retried(lambda: self._ask(statement))

    def _try_sql(self, statement: str) -> None:
        """A KILL of a connection that has left by itself is no error here."""
        with self.server.connect() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except Exception as error:
                if "Unknown thread" not in str(error):
                    raise

    def _ask(self, statement: str) -> str:
        with self.server.connect(self.database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return "\n".join(str(row[0]) for row in cursor.fetchall())

    def _retried(self, work: Callable[[], str]) -> str:
        """Our own connection may be hit by chance of a restart."""
        for _ in range(100):
            try:
                return work()
            except Exception as error:
                last = error
                time.sleep(0.05)
        raise last

    def _deepcredit(self, *arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "launcher", *arguments]
        subprocess.run(command, env=self.env, check=True, capture_output=True, cwd=self.folder)


def _skewed(clock: str | None) -> dict[str, str]:
    """An environment whose wall clock is wrong, where libfaketime is installed.

    The library is loaded without its wrapper, which would stand between us and the launcher.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if clock is None or not found:
        return {}
    words = {"FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(found[0])} | words


def _below(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
