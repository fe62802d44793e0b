"""How a launcher lives through what keeps every batch from beginning: a Dask cluster that cannot be
used, a host that cannot start processes, a database that refuses their login.
"""

import time
from collections.abc import Callable

import structlog

from configs.backoff import pauses
from configs.errors import ClusterAway
from launcher.service.supervisor import Outcome
from launcher.service.verdict import CANNOT_BEGIN

_PAUSES = 2.0, 60.0

log = structlog.get_logger(__name__)


class Absence:
    """Begins with a batch that could not begin, and ends after a pause; that of a cluster only if
    the scheduler then answers, else after another pause. If the next batch cannot begin either,
    another absence begins, with a longer pause.
    """

    def __init__(
        self, answers: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers = answers
        self._clock = clock
        self._pauses = pauses(*_PAUSES)
        self._due: float | None = None
        self._cause = ""

    @property
    def present(self) -> str | None:
        """What is absent now; None: nothing, as far as one can tell."""
        return None if self._due is None else CANNOT_BEGIN[self._cause].what

    @property
    def why(self) -> str:
        """What was absent last, and what to do."""
        return CANNOT_BEGIN[self._cause].why

    def heed(self, outcome: Outcome) -> None:
        """To be called with the outcome of every batch that ends."""
        if outcome.state == "C":
            self._pauses = pauses(*_PAUSES)
        elif outcome.error_class in CANNOT_BEGIN and self._due is None:
            self._cause = outcome.error_class
            log.error("no batch can begin; claiming nothing for now", why=self.why)
            self._due = self._clock() + next(self._pauses)

    def pause(self) -> float:
        """Seconds for which nothing should be claimed, as far as one can tell; asks when due."""
        if self._due is None:
            return 0.0
        if self._clock() >= self._due:
            if self._cause != ClusterAway.__name__ or self._answers():
                log.info("trying again whether a batch can begin")
                self._due = None
                return 0.0
            self._due = self._clock() + next(self._pauses)
        return max(0.0, self._due - self._clock())
