"""How a launcher lives through a database that does not answer."""

from collections.abc import Callable, Iterator

import structlog

from configs.backoff import pauses
from configs.errors import DatabaseRefused, DatabaseUnavailable

_PAUSES = 1.0, 30.0

log = structlog.get_logger(__name__)


class Outage:
    """Says once that it began and once that it is over; tells how long to wait between tries.

    It is over when no step fails for it any more: a server that is read-only answers questions.
    """

    def __init__(self, changed: Callable[[bool], None]) -> None:
        """`changed` is called with True when it begins, with False when it is over."""
        self._changed = changed
        self._away: set[str] = set()
        self._pauses: dict[str, Iterator[float]] = {}

    def failed(self, step: str, error: Exception) -> float:
        """Seconds to wait before this step is tried again."""
        if isinstance(error, DatabaseUnavailable | DatabaseRefused):
            if not self._away:
                log.error("the database cannot be used; trying on", step=step, error=str(error))
                self._changed(True)
            self._away.add(step)
        elif self._answered(step) or step not in self._pauses:
            log.error("a step of the launcher failed; trying on", step=step, exc_info=error)
        return next(self._pauses.setdefault(step, pauses(*_PAUSES)))

    def failing(self, step: str) -> bool:
        return step in self._pauses

    def passed(self, step: str) -> None:
        self._pauses.pop(step, None)
        self._answered(step)

    def _answered(self, step: str) -> bool:
        """Note that the database answers this step; whether until now it did not."""
        if step not in self._away:
            return False
        self._away.remove(step)
        if not self._away:
            log.info("the database answers again")
            self._changed(False)
        return True
