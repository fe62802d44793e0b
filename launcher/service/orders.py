"""What signals tell a launcher to do."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from launcher.service.verdict import Stopping


class Orders:
    """The first lets what runs finish for `grace_seconds`, the second stops it at once."""

    def __init__(
        self,
        grace_seconds: float,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wake` is called by signal handlers, which may interrupt any line of the main thread."""
        self._grace_seconds = grace_seconds
        self._wake = wake
        self._clock = clock
        self._given = 0
        self.due = float("inf")
        """When, by the clock, they change by themselves."""

    def give(self) -> None:
        """What SIGTERM, SIGINT and SIGHUP do."""
        self._given += 1
        self.due = self._clock() + self._grace_seconds if self._given == 1 else float("inf")
        self._wake()

    def stopping(self) -> Stopping:
        """What is wanted by now."""
        if self._clock() >= self.due:  # which is as good as a second one
            self._given, self.due = 2, float("inf")
        return (Stopping.NO, Stopping.DRAINING, Stopping.NOW)[min(self._given, 2)]

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Signals give orders inside; only the main thread can hear them."""
        previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                    previous[number] = signal.signal(number, lambda *_: self.give())
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
