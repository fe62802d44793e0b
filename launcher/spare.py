"""A child kept ready: started and imported while its launcher is idle, so a batch begins at once.

Importing what a batch needs takes seconds, which an operator would wait for at every batch.
"""

import subprocess
import threading
from collections.abc import Sequence

from launcher.child import spawn

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

    def prepare(self) -> None:
        """Start one unless it is there; costs a core for some seconds, so do it when idle."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._close()
                self._process = spawn((*self._command, WARM))

    def take(self) -> subprocess.Popen[bytes]:
        """The one that waits, else a new one, which imports as it goes."""
        with self._lock:
            process = self._process
            if process is not None and process.poll() is None:
                self._process = None
                return process
            self._close()
        return spawn(self._command)

    def dismiss(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
            process.wait()
