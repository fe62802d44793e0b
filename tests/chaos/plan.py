"""What a campaign is to do, and what came of it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.chaos.invariants import Ended

_OFTEN = {
    "claimable": 1,
    "lingering": 0.8,
    "longest": 3.0,
    "faults_an_attempt": 0.5,
    "only_freeze": True,
    "kills_an_attempt": 0.5,
    "limit_seconds": 200.0,  # mostly it takes ten
}
CONTROLS: dict[str, dict[str, Any]] = {
    "state": _OFTEN,
    "id": _OFTEN,
    "clock": {"limit_seconds": 200.0},
}
"""Negative controls: guards of launchers that are too weak, and what makes it show soon."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. Equal plans throw equal dice; what the dice hit depends on the machine.

    At most so many `batches` are `claimable` at a time, so that `launchers` soon come to retries.
    `lingering` is the share of batches that take up to `longest` seconds, so that a run which was
    frozen past its lease wakes while another runs its batch. `uploads` is the share of those that
    put their file through SFTP, where half of the connections are cut. `troubles` counts what
    befalls the whole database. Connections are killed `kills_a_second`, and at most
    `kills_an_attempt`: on a slow machine launchers would lose each before they could begin. With
    `until_broken` it ends at the first violation.
    """

    batches: int
    claimable: int = 4
    launchers: int = 8
    seed: int = 1
    guard: str = "claim"
    lease_seconds: float = 1.5
    lingering: float = 0.12
    longest: float = 1.0
    uploads: float = 0.03
    faults_an_attempt: float = 0.25
    only_freeze: bool = False
    kills_a_second: float = 10.0
    kills_an_attempt: float = 3.0
    troubles: int = 2
    limit_seconds: float = 3600.0
    until_broken: bool = False


@dataclass
class Report:
    """`left_behind`: files of dead runs that `store check` found, and removed."""

    batches: list[Ended]
    broken: list[str]
    done: Counter[str]
    left_behind: int
    seconds: float
    processor_seconds: float

    def lines(self) -> list[str]:
        outcomes = Counter(a.outcome or "open" for batch in self.batches for a in batch.attempts)
        states = Counter(batch.state for batch in self.batches)
        classes = Counter(a.error_class for b in self.batches for a in b.attempts if a.error_class)
        attempts = max(1, sum(outcomes.values()))
        busy = 1000 * self.processor_seconds / attempts
        return [
            f"faults: {_listed(self.done)}",
            f"batches: {len(self.batches)} in {self.seconds:.0f} s, by state: {_listed(states)}",
            f"attempts: {sum(outcomes.values())}, by outcome: {_listed(outcomes)}",
            f"failed attempts: {_listed(classes)}",
            f"files of dead runs, found and removed by `store check --delete`: {self.left_behind}",
            f"an attempt: {1000 * self.seconds / attempts:.0f} ms",
            f"processor of launchers and children, an attempt: {busy:.0f} ms",
            f"violations: {len(self.broken)}",
            *(f"  {line}" for line in self.broken[:20]),
        ]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
