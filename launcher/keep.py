"""Keeps a process of a cluster running: `python -m launcher.keep WORDS` runs Python with these
words, and again whenever that ends, until it is itself told to end.

A Dask worker ends when its scheduler does. Kept like this, both come back by themselves, and
batches go on.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

RETIRED = "CLUSTER_WORKERS_RETIRED"
"""Names the file in which workers that were told to leave for good write a line each."""

_SETTLED_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0


def main() -> int:
    """Gives up, with the exit code of what it ran, if that has never lasted for five seconds."""
    keeper = _Keeper(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.end())
    return keeper.run()


class _Keeper:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._file = Path(f"retired.{os.getpid()}").absolute()
        self._told = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        pause, settled = _FIRST_PAUSE_SECONDS, False
        try:
            while True:
                began = time.monotonic()
                self._file.write_text("", encoding="utf-8")
                code = self._once()
                lasted = time.monotonic() - began >= _SETTLED_SECONDS
                settled = settled or lasted
                if self._told.is_set() or self._retired() or not settled:
                    return code
                pause = _FIRST_PAUSE_SECONDS if lasted else min(2 * pause, _LONGEST_PAUSE_SECONDS)
                _say(f"{' '.join(self._words[:6])} ended with {code}; starting it again")
                if self._told.wait(pause):
                    return code
        finally:
            self._file.unlink(missing_ok=True)

    def end(self) -> None:
        """May be called in a signal handler."""
        self._told.set()
        if self._child is not None:
            self._child.terminate()

    def _once(self) -> int:
        environment = os.environ | {RETIRED: str(self._file)}
        self._child = subprocess.Popen([sys.executable, *self._words], env=environment)
        if self._told.is_set():  # told while it started
            self._child.terminate()
        return self._child.wait()

    def _retired(self) -> bool:
        """Whether all workers of the process have left because they were told to."""
        gone = len(self._file.read_text(encoding="utf-8").splitlines())
        there = 1
        if "--nworkers" in self._words:
            there = int(self._words[self._words.index("--nworkers") + 1])
        return gone >= there


def _say(line: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} - launcher.keep - {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
