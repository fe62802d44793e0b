"""Real train batches under kills, held against the same batches undisturbed.

MariaDB, the model store over SFTP, a Dask scheduler with two workers, the German credit data. What
the two runs leave must be equal: every count and metric, every threshold, and the SHA-256 of the
scores, the split and the preprocessing. Files of forests hold bytes that say nothing, and differ.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bank import SHARED, Bank, real_bank
from tests.chaos.hosts import Hosts
from tests.chaos.invariants import at_their_end, of_attempts, read, whole
from tests.chaos.troubles import Database
from tests.mariadb import MariaDB
from tests.sshd import SshServer

MODELS = (
    (1, "ML-RF", {"n_estimators": 60, "grid": {"max_depth": [4, 8, 12]}}),
    (2, "ML-XGB", {"n_estimators": 30, "resampling": "smote", "grid": {"max_depth": [3, 5]}}),
)
LAUNCHERS, WORKERS = 2, 2
_RESTARTED = 4  # of every eight faults
_KILLS = 0.3  # of a connection, a look: most hit one that is idle
_PROGRAM = (sys.executable, "-P", "-m", "launcher", "launcher")
# What took how long, and which attempt it was, may differ.
_RESULTS = (
    "SELECT batch_id, model_no, model_sub_no, split, state, n_rows, tn, fp, fn, tp, threshold, "
    "accuracy, precision_score, recall_score, specificity, f1_score, balanced_accuracy, mcc, auc, "
    "gini, ks, pr_auc, brier, log_loss FROM dc_batch_result ORDER BY 1, 2, 3, 4"
)
_MODELS = (
    "SELECT batch_id, model_no, model_sub_no, model_id, params, threshold, scores_sha256, "
    "split_id, preprocessor_sha256, fingerprint FROM dc_model ORDER BY 1, 2, 3"
)
_LEFT = (
    "SELECT (SELECT COUNT(*) FROM dc_batch WHERE state IN ('I', 'U') OR run_after IS NOT NULL)"
    " + (SELECT COUNT(*) FROM dc_batch_attempt WHERE finished_at IS NULL)"
)
# Three faults for every five models.
_PROGRESS = "SELECT 1 + COUNT(*) * 3 DIV 5 FROM dc_model"
_SOON = (
    "UPDATE dc_batch SET run_after = UTC_TIMESTAMP(6) "
    "WHERE state = 'E' AND run_after > UTC_TIMESTAMP(6)"
)


@dataclass
class Comparison:
    done: Counter[str]
    batches: int
    models: int
    figures: int
    attempts: Counter[str]
    broken: list[str]
    seconds: dict[str, float]

    def lines(self) -> list[str]:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

        return [
            f"faults: {listed(self.done)}",
            f"{self.batches} batches with {self.models} models and {self.figures} rows of results: "
            + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items()),
            f"attempts under kills: {sum(self.attempts.values())}: {listed(self.attempts)}",
            f"violations and differences: {len(self.broken)}",
            *(f"  {line}" for line in self.broken[:20]),
        ]


@dataclass
class Training:
    mariadb: MariaDB
    sshd: SshServer
    folder: Path
    batches: int = 20
    seed: int = 1
    lease_seconds: float = 4.0
    limit_seconds: float = 3600.0
    tell: Callable[[str], None] = lambda line: None
    done: Counter[str] = field(default_factory=Counter)

    def run(self) -> Comparison:
        seconds = {}
        with self._installed("undisturbed") as bank:
            began = time.monotonic()
            self._run_in_peace(bank)
            seconds["undisturbed"] = time.monotonic() - began
            expected = [bank.sql(question) for question in (_RESULTS, _MODELS)]
        with self._installed("under kills") as bank:
            began = time.monotonic()
            self._fight(bank)
            seconds["under kills"] = time.monotonic() - began
            bank.deepcredit("store", "check", "--delete")  # fails if a file is missing
            found = [bank.sql(question) for question in (_RESULTS, _MODELS)]
            with self.mariadb.connect(_database(bank)) as connection:
                ended = read(connection)
        broken = at_their_end(ended, self.batches) + of_attempts(ended)
        broken += whole(ended, self.sshd.root / _database(bank))
        for name, here, there in zip(("results", "models"), expected, found, strict=True):
            broken += [f"{name}: {row} is not there" for row in here if row not in there]
            broken += [f"{name}: {row} is too much" for row in there if row not in here]
        return Comparison(
            done=self.done,
            batches=self.batches,
            models=len(expected[1]),
            figures=len(expected[0]),
            attempts=Counter(
                attempt.error_class or str(attempt.outcome)
                for batch in ended
                for attempt in batch.attempts
            ),
            broken=broken,
            seconds=seconds,
        )

    def _run_in_peace(self, bank: Bank) -> None:
        hosts = Hosts(bank.env, _PROGRAM, ("--drain",), random.Random(1), Counter(), 120, (None,))
        try:
            hosts.start("CALM")
            assert hosts.launchers["CALM"].wait(self.limit_seconds) == 0, bank.log()
        finally:
            hosts.end()

    def _fight(self, bank: Bank) -> None:
        dice = random.Random(self.seed)
        database = Database(self.mariadb, _database(bank), dice, self.done)
        env = {
            **bank.env,
            "DEEPCREDIT_LEASE_SECONDS": str(self.lease_seconds),
            "DEEPCREDIT_DATABASE_URL": database.url(),
        }
        hosts = Hosts(env, _PROGRAM, (), dice, self.done, self.lease_seconds, (None,))
        deadline = time.monotonic() + self.limit_seconds
        faults = [hosts.kill_launcher, hosts.kill_child, hosts.freeze]
        faults += [lambda: self._kill_worker(dice), lambda: self._freeze_worker(dice, hosts)]
        try:
            for number in range(LAUNCHERS):
                hosts.start(f"FIRE_{number}")
            thrown = 0
            while (left := int(bank.sql(_LEFT)[0][0])) and time.monotonic() < deadline:
                hosts.thaw(time.monotonic())
                if dice.random() < _KILLS:
                    database.kill_connection()
                # In step with the work, so that a slow machine gets on with it too.
                if thrown < int(bank.sql(_PROGRESS)[0][0]):
                    (database.restart if thrown % 8 == _RESTARTED else dice.choice(faults))()
                    thrown += 1
                    bank.sql(_SOON)  # what waits 20 minutes for a cluster is brought forward
                self.tell(f"{left} left, {dict(self.done)}")
                time.sleep(dice.uniform(0, 0.4))
        finally:
            hosts.thaw(float("inf"))
            hosts.end()

    def _kill_worker(self, dice: random.Random) -> None:
        """Its nanny starts another."""
        for pid in _workers()[:1] if dice.random() < 0.5 else _workers()[-1:]:
            os.kill(pid, signal.SIGKILL)
            self.done["workers killed"] += 1

    def _freeze_worker(self, dice: random.Random, hosts: Hosts) -> None:
        workers = _workers()
        if workers:
            hosts.stop([dice.choice(workers)])

    @contextmanager
    def _installed(self, name: str) -> Iterator[Bank]:
        folder = self.folder / name.replace(" ", "-")
        folder.mkdir()
        with real_bank(folder, self.mariadb, self.sshd, workers=WORKERS) as bank:
            data = SHARED / "data" / "german" / "german_credit.csv"
            bank.deepcredit("dataset", "load", str(data), "--group", "G", "--target", "default")
            for model_no, model_id, parameters in MODELS:
                bank.add_model(model_no, model_id, "M", parameters)
            for number in range(self.batches):
                parameters = json.dumps({"randomState": self.seed + number})
                bank.sql(
                    "INSERT INTO dc_batch (mode, dataset_group, dataset_version, model_group, "
                    f"batch_param, max_attempts) VALUES ('train', 'G', 1, 'M', '{parameters}', 30)"
                )
            self.tell(name)
            yield bank


def _database(bank: Bank) -> str:
    return bank.env["DEEPCREDIT_DATABASE_URL"].rpartition("/")[2].partition("?")[0]


def _workers() -> list[int]:
    """Processes that work, below their nannies, which are children of ours."""
    nannies = [
        process
        for process in psutil.Process().children()
        if {"dask", "worker"} <= set(process.cmdline())
    ]
    below = [child for nanny in nannies for child in nanny.children()]
    return sorted(child.pid for child in below if "spawn_main" in " ".join(child.cmdline()))
