"""How fast the tasks of a run end, as far as it tells that they end no more."""

import time
from collections.abc import Callable

from configs.wording import counted

_LEAST_SECONDS = 60.0
_TIMES = 2


class Pace:
    """Notices a pause far longer than those before. Then no time left is true that was reckoned by
    them, whatever the cause: a model store that is away, a worker that hangs, a large fit.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._longest: float | None = None

    def ended(self) -> None:
        """To be called when a task has ended."""
        now = self._clock()
        self._longest = max(self._longest or 0.0, now - self._last)
        self._last = now

    def pause(self) -> str:
        """The pause in words, in whole minutes; "": there is none, or nothing to measure it by."""
        if self._longest is None:
            return ""
        seconds = self._clock() - self._last
        if seconds < max(_LEAST_SECONDS, _TIMES * self._longest):
            return ""
        return f"no task has ended for {counted(int(seconds // 60), 'minute')}"
