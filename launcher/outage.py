"""How a launcher lives through a database that does not answer."""

import random
from collections.abc import Callable

import structlog

from configs.errors import DatabaseRefused, DatabaseUnavailable

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0

log = structlog.get_logger(__name__)


class Outage:
    """Says once that it began and once that it is over; tells how long to wait between tries.

    It is over when all that failed has succeeded: a server that is read-only answers questions.
    """

    def __init__(self, changed: Callable[[bool], None]) -> None:
        """`changed` is told True when it begins, False when it is over."""
        self._changed = changed
        self._away: set[str] = set()
        self._pauses: dict[str, float] = {}

    def failed(self, step: str, error: Exception) -> float:
        """Seconds to wait before this step is tried again: doubling, with jitter, so that launchers
        do not come back as one.
        """
        if isinstance(error, DatabaseUnavailable | DatabaseRefused):
            if not self._away:
                log.error("the database cannot be used; trying on", step=step, error=str(error))
                self._changed(True)
            self._away.add(step)
        elif step not in self._pauses:
            log.error("a step of the launcher failed; trying on", step=step, exc_info=error)
        pause = min(max(2 * self._pauses.get(step, 0.0), _FIRST_PAUSE), _LONGEST_PAUSE)
        self._pauses[step] = pause
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret

    def failing(self, step: str) -> bool:
        return step in self._pauses

    def passed(self, step: str) -> None:
        self._pauses.pop(step, None)
        if step not in self._away:
            return
        self._away.remove(step)
        if not self._away:
            log.info("the database answers again")
            self._changed(False)
