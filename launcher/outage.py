"""How a launcher lives through a database that does not answer."""

import random
from collections.abc import Callable, Hashable

import structlog

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
        self._failing: set[Hashable] = set()
        self._pause = 0.0

    def failed(self, step: Hashable, error: Exception) -> float:
        """Seconds to wait: doubling, with jitter, so that launchers do not come back as one."""
        if not self._failing:
            log.error("the database cannot be used; trying on", error=str(error))
            self._changed(True)
        self._failing.add(step)
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        return self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret

    def passed(self, step: Hashable) -> None:
        if step not in self._failing:
            return
        self._failing.remove(step)
        if not self._failing:
            self._pause = 0.0
            log.info("the database answers again")
            self._changed(False)
