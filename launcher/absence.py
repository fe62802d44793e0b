"""How a launcher lives through a Dask cluster that cannot be used."""

import time
from collections.abc import Callable

import structlog

from configs.backoff import pauses
from configs.errors import ClusterAway
from launcher.supervisor import Outcome

_PAUSES = 2.0, 60.0

log = structlog.get_logger(__name__)


class Absence:
    """It begins with a batch that could not begin, and ends when the scheduler answers. What keeps
    batches from it then (no workers, other versions) begins another, with longer pauses.
    """

    def __init__(
        self, answers: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers = answers
        self._clock = clock
        self._pauses = pauses(*_PAUSES)
        self._due: float | None = None

    def heed(self, outcome: Outcome) -> None:
        """Of every batch that ends."""
        if outcome.state == "C":
            self._pauses = pauses(*_PAUSES)
        elif outcome.error_class == ClusterAway.__name__ and self._due is None:
            log.error("the cluster cannot be used; claiming nothing until it answers")
            self._due = self._clock() + next(self._pauses)

    def left(self) -> float:
        """Seconds for which nothing should be claimed, as far as one can tell; asks when due."""
        if self._due is None:
            return 0.0
        if self._clock() >= self._due:
            if self._answers():
                log.info("the cluster answers; claiming again")
                self._due = None
                return 0.0
            self._due = self._clock() + next(self._pauses)
        return max(0.0, self._due - self._clock())
