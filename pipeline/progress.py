"""Progress of a batch as its row shows it: a share from 0 to 1 and a note with the time left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from configs.wording import counted
from storage.records import ESTIMATE

Report = Callable[[float, str], None]
"""Is told the share done, and a word on what is being done."""

_NEARLY = 0.99  # other steps may follow, and only the end of the batch is 1


@dataclass(kw_only=True)
class Tally:
    """Counts units of work; `before` were done by an earlier run and tell nothing of the pace."""

    total: int
    before: int
    unit: str
    report: Report
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    failed: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()
        self._tell("")

    def advance(self, label: str = "", *, failed: bool = False, units: int = 1) -> None:
        """One more unit ended, or some at once."""
        self.done += units
        self.failed += failed
        self._tell(f", last {label}" if label else "")

    def _tell(self, last: str) -> None:
        ended = self.before + self.done
        failures = f", {self.failed} failed" if self.failed else ""
        note = f"{ended:,} of {counted(self.total, self.unit)}{failures}{self._left(ended)}{last}"
        self.report(min(ended / self.total if self.total else 1.0, _NEARLY), note)

    def _left(self, ended: int) -> str:
        left = self.total - ended
        if not self.done or not left:
            return ""
        return f"{ESTIMATE}{span((self.clock() - self.started) / self.done * left)} left"


def span(seconds: float) -> str:
    """A duration as people say it: 8 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
