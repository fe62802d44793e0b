"""Launchers at work on no-op batches while a seeded hand breaks things around them."""

import dataclasses
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bank import ROOT, environment
from tests.chaos.hosts import Hosts
from tests.chaos.invariants import Ended, beyond_repair, in_store, read, violations
from tests.chaos.plan import Plan, Report
from tests.chaos.troubles import Database
from tests.commands import deepcredit
from tests.mariadb import PASSWORD, MariaDB
from tests.proxy import proxied
from tests.sshd import SshServer, trust

_KEYS = 5
_LOOK_SECONDS = 0.5
_CONNECTIONS = 20_000  # to the model store, at most
_ATTEMPTS = "SELECT COUNT(*) FROM dc_batch_attempt"
_CLAIMABLE = "SELECT COUNT(*) FROM dc_batch WHERE state = 'I' OR run_after IS NOT NULL"
_WAITING = (
    "SELECT COUNT(*) FROM dc_batch "
    "WHERE state IN ('I', 'U') OR (state = 'E' AND run_after IS NOT NULL)"
)
_OPEN = "SELECT COUNT(*) FROM dc_batch_attempt WHERE finished_at IS NULL"
# No lease reaches further than its length, whatever the clocks of the hosts say.
_LONG_LEASES = (
    "SELECT batch_id FROM dc_batch "
    "WHERE state = 'U' AND lease_until > UTC_TIMESTAMP(6) + INTERVAL {} SECOND"
)


@dataclass
class Campaign:
    """On a database server that it may kill, and a model store that it may cut off."""

    plan: Plan
    server: MariaDB
    sshd: SshServer
    folder: Path
    tell: Callable[[str], None] = lambda line: None
    done: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.plan.seed)
        name = self.server.new_database()
        self.database = Database(self.server, name, self.dice, self.done)
        self.store = self.sshd.root / name

    def run(self) -> Report:
        """Add the batches, break things until all are at their end, and look at what is left."""
        self._deepcredit("db", "upgrade")
        self._deepcredit("store", "adopt")  # these children do not mark it
        self.to_add = self.plan.batches
        started, before = time.monotonic(), _processor_seconds()
        with self._store_that_breaks() as env, self._launchers(env) as hosts:
            self._fight(hosts, started + self.plan.limit_seconds)
        seconds, busy = time.monotonic() - started, _processor_seconds() - before
        removed, batches = 0, self._read()
        if not (self.broken and self.plan.until_broken):  # else it ended in the middle
            removed = self._removed()
            self.broken += violations(batches, self.plan.batches) + in_store(batches, self.store)
        return Report(
            batches,
            list(dict.fromkeys(self.broken)),
            self.done,
            removed,
            seconds,
            busy,
        )

    def _removed(self) -> int:
        """Files of dead runs."""
        checked = self._deepcredit("store", "check", "--delete")
        found = re.search(r"(\d+) deleted", checked)
        return int(found[1]) if found else 0

    def _fight(self, hosts: Hosts, deadline: float) -> None:
        plan = self.plan
        troubles = [(i + 1) / (plan.troubles + 1) for i in range(plan.troubles)]
        next_kill = next_look = 0.0
        attempts = thrown = withstood = 0
        left = plan.batches
        while left and time.monotonic() < deadline and not (self.broken and plan.until_broken):
            now = time.monotonic()
            hosts.thaw(now)
            killed = self.done["connections killed"]
            if now >= next_kill and killed < plan.kills_an_attempt * (attempts + plan.launchers):
                self.database.kill_connection()
                next_kill = now + 1 / plan.kills_a_second
            if now >= next_look:
                # Faults keep step with the work, as kills do: so a slow machine gets on with it.
                attempts = self._count(_ATTEMPTS)
                due = int(plan.faults_an_attempt * attempts) - thrown
                for _ in range(min(plan.launchers, due)):
                    hosts.harm(only_freeze=plan.only_freeze)
                    thrown += 1
                left = self._look()
                next_look = now + _LOOK_SECONDS
                if withstood < len(troubles) and 1 - left / plan.batches >= troubles[withstood]:
                    self.database.trouble(withstood, plan.lease_seconds)
                    withstood += 1
            time.sleep(0.02)
        # Attempts of runs that lost their batch are closed by a sweep; nothing may be left open.
        hosts.thaw(float("inf"))

    def _look(self) -> int:
        """How much is left to do, and whether all is well so far."""
        self._add()
        left = self.to_add + self._count(_WAITING) or self._count(_OPEN)
        self.tell(f"{left} of {self.plan.batches} left, {dict(self.done)}")
        for number in self.database.ask(_LONG_LEASES.format(self.plan.lease_seconds + 1)):
            self.broken.append(f"batch {number}: its lease is longer than a lease")
        if self.plan.until_broken:
            self.broken += beyond_repair(self._read())
        if self.dice.random() < 0.1:
            self.database.change_zone()
        return left

    def _add(self) -> None:
        """So few at a time that retries, which come after what waits for the first time, are soon
        run: a zombie that wakes shall find another at work on its batch.
        """
        room = self.plan.claimable - self._count(_CLAIMABLE)
        rows = []
        while self.to_add and len(rows) < room:
            self.to_add -= 1
            key = f"'key{self.dice.randrange(_KEYS)}'" if self.dice.random() < 0.05 else "NULL"
            rows.append(f"('noop', {key}, 30)")
        if rows:
            columns = "mode, concurrency_key, max_attempts"
            self.database.ask(f"INSERT INTO dc_batch ({columns}) VALUES {', '.join(rows)}")

    @contextmanager
    def _store_that_breaks(self) -> Iterator[dict[str, str]]:
        """Settings of launchers, whose way to the model store is cut in the middle of uploads."""
        budgets = [
            self.dice.randrange(50_000, 1_000_000) if self.dice.random() < 0.5 else None
            for _ in range(_CONNECTIONS)
        ]
        with proxied(self.sshd.port, budgets, on_cut=self._note_cut) as proxy:
            known = trust(self.folder / "known_hosts", proxy.port, self.sshd.host_key)
            through = dataclasses.replace(self.sshd, port=proxy.port, known_hosts=known)
            settings = through.settings(self.store.name) | {"store_patience_seconds": 1}
            yield self._env(**{name.upper(): str(value) for name, value in settings.items()})

    def _note_cut(self) -> None:
        self.done["uploads cut off"] += 1

    @contextmanager
    def _launchers(self, env: dict[str, str]) -> Iterator[Hosts]:
        plan = self.plan
        child = [sys.executable, "-P", str(ROOT / "tests/chaos/child.py")]
        work = [plan.seed, plan.guard, self.store, plan.lingering, plan.longest, plan.uploads]
        arguments = [plan.guard, "1", *child, *map(str, work)]
        program = [sys.executable, "-P", str(ROOT / "tests/chaos/launcher.py")]
        hosts = Hosts(env, program, arguments, self.dice, self.done, plan.lease_seconds)
        try:
            for number in range(plan.launchers):
                hosts.start(f"CHAOS_{number}")
            yield hosts
        finally:
            hosts.end()

    def _count(self, question: str) -> int:
        return int(self.database.ask(question)[0])

    def _read(self) -> list[Ended]:
        with self.server.connect(self.database.name) as connection:
            return read(connection)

    def _env(self, **settings: str) -> dict[str, str]:
        return environment(
            self.folder,
            DATABASE_URL=self.database.url(),
            DATABASE_PASSWORD=PASSWORD,
            LEASE_SECONDS=str(self.plan.lease_seconds),
            POLL_SECONDS="0.2",
            **settings,
        )

    def _deepcredit(self, *words: str) -> str:
        code, said, error = deepcredit(self.folder, self._env(STORE_URL=str(self.store)), *words)
        assert code == 0, error
        return said


def _processor_seconds() -> float:
    """Of our children that have ended, and theirs that they have seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
