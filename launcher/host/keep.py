"""Keeps a process of a cluster running: `python -m launcher.host.keep WORDS` runs Python with these
words, and again whenever that ends, until it is itself told to end.

A Dask worker ends when its scheduler does. Kept like this, both come back by themselves, and
batches go on.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

RETIRED = "CLUSTER_WORKERS_RETIRED"
"""Names the file in which workers that were told to leave for good write a line each."""

LOG = "CLUSTER_PROCESS_LOG"
"""Names the file to which all that runs here writes, open to append."""

_LOG_BYTES = 5_000_000
_LOOK_SECONDS = 60.0
_SETTLED_SECONDS = 15.0  # on a host that is busy a process takes some to find that it cannot start
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0


def workers_of(words: Sequence[str]) -> int:
    """How many workers a command line starts."""
    return int(words[words.index("--workers") + 1]) if "--workers" in words else 1


def main() -> int:
    """Gives up, with the exit code of what it ran, if that has only ever failed by itself, and so
    soon that it cannot have done anything.
    """
    keeper = _Keeper(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: keeper.end())
    # Beside the wait for the child: one with a timeout would ask 20 times a second.
    threading.Thread(target=_watch_log, daemon=True).start()
    return keeper.run()


class _Keeper:
    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._file = Path(f"retired.{os.getpid()}").absolute()
        self._told = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        pause, settled = _FIRST_PAUSE_SECONDS, False
        self._tell([])
        try:
            while True:
                began = time.monotonic()
                code = self._once(self._those_that_stay())
                lasted = time.monotonic() - began >= _SETTLED_SECONDS
                # Killed by somebody else, or ended in order, as a worker is whose scheduler was: it
                # may do well the next time.
                blameless = code <= 0
                settled = settled or lasted or blameless
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

    def _once(self, words: list[str]) -> int:
        environment = os.environ | {RETIRED: str(self._file)}
        try:
            self._child = subprocess.Popen([sys.executable, *words], env=environment)
        except OSError as error:  # no process or memory is left on the host, or Python is replaced
            _say(str(error))
            return 1
        if self._told.is_set():  # told while it started
            self._child.terminate()
        return self._child.wait()

    def _those_that_stay(self) -> list[str]:
        """The words for as many workers as were not told to leave. Dask numbers them anew, so the
        file then names the last ones as those that have left.
        """
        workers = workers_of(self._words)
        left = workers - len(self._gone())
        if left == workers:
            return self._words
        label = self._words[self._words.index("--name") + 1]
        names = [f"{label}-{number}" for number in range(workers)]
        self._tell(names[left:])
        changed = {"--workers": str(left), "--name": label if left > 1 else names[0]}
        before = ["", *self._words]
        return [changed.get(name, word) for name, word in zip(before, self._words, strict=False)]

    def _retired(self) -> bool:
        """Whether all workers of the process have left because they were told to."""
        return len(self._gone()) >= workers_of(self._words)

    def _gone(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").splitlines()

    def _tell(self, gone: list[str]) -> None:
        self._file.write_text("".join(f"{name}\n" for name in gone), encoding="utf-8")


def _watch_log() -> None:
    while True:
        time.sleep(_LOOK_SECONDS)
        _rotate()


def _rotate() -> None:
    """A log that has become long is moved to one old file, which it replaces.

    All processes write to it, so it is copied and emptied under them: what they write between the
    two is lost. Through a pipe nothing would be, but they would all wait for us whenever we stand.
    """
    log = os.environ.get(LOG)
    with suppress(OSError):
        if log and Path(log).stat().st_size > _LOG_BYTES:
            shutil.copyfile(log, f"{log}.1")
            os.truncate(log, 0)


def _say(line: str) -> None:
    text = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} - launcher.host.keep - {line}\n"
    # The disk may be full. `sys.stderr` would keep the line, and fail with it when we end.
    with suppress(OSError):
        os.write(2, text.encode())


if __name__ == "__main__":
    sys.exit(main())
