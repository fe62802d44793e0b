"""What a launcher does again and again, each step in its own time."""

import time
from collections.abc import Callable

from launcher.service.outage import Outage


class Step:
    """One thing to do again and again. When it fails, its own next turn is put off, and no other
    step's: a table that is locked or damaged must not keep a launcher from what it can still do.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float],
        outage: Outage,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`work` returns the seconds until its next turn; `wanted`: whether it has one at all."""
        self._name = name
        self._work = work
        self._outage = outage
        self._wanted = wanted
        self._due = 0.0

    @property
    def due(self) -> float:
        """When its next turn is, by time.monotonic()."""
        return self._due if self._wanted() else float("inf")

    @property
    def failing(self) -> bool:
        """Whether its last turn failed."""
        return self._outage.failing(self._name)

    def hasten(self) -> None:
        """Its next turn is now."""
        self._due = 0.0

    def turn(self) -> None:
        """Do it. A launcher outlives whatever it raises."""
        try:
            pause = self._work()
        except Exception as error:
            pause = self._outage.failed(self._name, error)
        else:
            self._outage.passed(self._name)
        self._due = time.monotonic() + pause
