"""What the log of a launcher tells of a batch on its way."""

import time
from collections.abc import Callable

import structlog

from pipeline.messages import Progress

_STEP = 0.1

log = structlog.get_logger(__name__)


class Reporting:
    """Logs how far a batch is: once it has run for `seconds`, then after each tenth of it, and no
    sooner than `seconds` after the line before. So a batch has a dozen lines, however long it runs.
    """

    def __init__(
        self, batch_id: int, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._batch_id = batch_id
        self._seconds = seconds
        self._clock = clock
        self._due = clock() + seconds
        self._next = 0.0

    def __call__(self, news: Progress) -> None:
        now = self._clock()
        if now < self._due or news.fraction < self._next:
            return
        self._due, self._next = now + self._seconds, news.fraction + _STEP
        done = f"{news.fraction:.0%}"
        log.info("batch goes on", batch_id=self._batch_id, done=done, note=news.note)
