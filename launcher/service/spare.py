"""A child kept ready: started and imported while its launcher is idle, so a batch begins at once.

Importing what a batch needs takes seconds, which an operator would wait for at every batch.
"""

import subprocess
import threading
import time
from collections.abc import Sequence

import structlog

from launcher.service.child import spawn

_FIRST_PAUSE = 10.0
_LONGEST_PAUSE = 600.0

log = structlog.get_logger(__name__)

WARM = "--warm"
"""Tells a child to import what every batch needs before it reads its job."""


class Spare:
    """At most one process that waits for a job. Its methods may be called by any thread.

    It dies with this process, since its stdin then ends.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._pause = 0.0
        self._not_before = 0.0

    def prepare(self) -> None:
        """Start one unless it is there; costs a core for some seconds, so do it when idle.

        One that cannot be started, or dies while it waits, is tried again later and later.
        """
        with self._lock:
            if self._process is not None and (code := self._process.poll()) is not None:
                self._close()
                self._put_off(f"it ended with exit code {code}")
            if self._process is None and time.monotonic() >= self._not_before:
                try:
                    self._process = spawn((*self._command, WARM))
                except OSError as error:
                    self._put_off(str(error))

    def take(self) -> subprocess.Popen[bytes]:
        """The one that waits, else a new one, which imports as it goes. The caller ends it.

        Raises OSError.
        """
        with self._lock:
            process = self._process
            if process is not None and process.poll() is None:
                self._process = None
                self._pause = 0.0
                return process
            self._close()
        return spawn(self._command)

    def dismiss(self) -> None:
        with self._lock:
            self._close()

    def _put_off(self, why: str) -> None:
        """A warning is enough: the next batch starts its own child, and says what is wrong if it
        cannot.
        """
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._not_before = time.monotonic() + self._pause
        log.warning("no child is kept ready", reason=why, next_try_seconds=self._pause)

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
            process.wait()
