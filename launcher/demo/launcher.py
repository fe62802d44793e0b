"""The launcher that a demo has to itself, in a process of its own."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, NoReturn

from configs.errors import DeepCreditError
from launcher.host import python
from launcher.terminal.console import Bar
from launcher.terminal.session import Session
from storage import batches
from storage.records import Batch

_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0
_SOON = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    said: IO[bytes]

    def last_words(self) -> str:
        """Why it ended, as far as it said so."""
        self.said.seek(0)
        lines = self.said.read().decode("utf-8", "replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it said nothing'}; see {self.log}"


@contextmanager
def launcher(session: Session, server: str, queue: str) -> Iterator[Launcher]:
    """Start one that serves this queue alone; it is stopped at the end of the context, also one
    that SIGTERM ends, and when this process is killed.
    """
    before = signal.signal(signal.SIGTERM, _ended)
    words = (*session.options.words(), "launcher", server, "--queue", queue)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            python.module("launcher.demo.tethered", *words),
            env=python.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # a Ctrl-C is for us, who then tell it to stop
        ) as process,
    ):
        try:
            yield Launcher(process, session.settings.log_dir / f"{server}.log", said)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()  # the second one stops at once
                process.wait()
            signal.signal(signal.SIGTERM, before)


def _ended(number: int, _frame: object) -> NoReturn:
    """An exception, so that what was started is stopped."""
    sys.exit(128 + number)


def wait(session: Session, running: Launcher, number: int, bar: Bar) -> Batch:
    """Wait until a batch has ended.

    Raises:
        DeepCreditError: it failed, if only for twenty minutes; or the launcher ended before it.
    """
    while True:
        ended = running.process.poll() is not None
        now = session.read(lambda connection: batches.read(connection, number))
        if now is None or (now.state == "E" and not _retried_at_once(now)):
            reason = now and now.error_text
            raise DeepCreditError(
                f"batch {number} failed: {reason or 'its row is gone'}; see {running.log}"
            )
        if now.state == "C":
            return now
        if ended:
            raise DeepCreditError(
                f"the launcher ended before batch {number}: {running.last_words()}"
            )
        starting = "the launcher is starting" if now.state == "I" else "starting"
        bar(now.progress or 0.0, now.progress_note or starting)
        time.sleep(_POLL_SECONDS)


def _retried_at_once(failed: Batch) -> bool:
    if failed.run_after is None or failed.work_end_date is None:
        return False
    return failed.run_after - failed.work_end_date < _SOON
