"""The process that runs one batch: started, heard, ended. It never outlives its launcher."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

from launcher.host import python
from launcher.service.verdict import Exit
from pipeline.messages import Job, Malformed, Message, decode, encode

COMMAND = python.program("launcher.service.child_main")
# Without it glibc keeps the memory that a large data set took and gave back column by column.
_GIVE_BACK = {"MALLOC_TRIM_THRESHOLD_": "65536"}
_TAIL_LINES = 40
_DRAIN_SECONDS = 5.0
_TERM_SECONDS = 5.0  # between SIGTERM and SIGKILL


class Child:
    """A running child.

    It is stopped at the end of the `with` that it is used in, and its process is dead if this
    raises.

    `tell` is called from other threads with each message, and last with the Exit, after which
    nothing of the child's process group is left. `hear` gets each line of its stderr.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        tell: Callable[[Message | Exit], None],
        hear: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._hear = hear
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._reaped = False
        self._process = process
        self._readers = [
            threading.Thread(target=self._read_messages, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        self._begin(threading.Thread(target=self._await_end, daemon=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def give(self, job: Job) -> None:
        """Send the job; a child that is already dead has told, or will tell, its Exit."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(encode(job))
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Close its stdin: it exits at once, as when its launcher dies."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left after some seconds. Returns when it is dead, or
        after as many seconds more if the kernel keeps it (a dead network disk).
        """
        self._signal(signal.SIGTERM)
        if not self.wait(_TERM_SECONDS):
            self._signal(signal.SIGKILL)
            self.wait(_TERM_SECONDS)

    def _begin(self, awaiting: threading.Thread) -> None:
        try:
            for thread in (*self._readers, awaiting):
                thread.start()
        except RuntimeError:  # no more threads: nobody would hear it, or see it end
            self._signal(signal.SIGKILL)
            for reader in self._readers:
                if reader.ident is not None:
                    reader.join(_DRAIN_SECONDS)
            with self._process:  # closes what is left of its pipes
                raise

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._reaped:  # until then its number cannot belong to another process
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)

    def _read_messages(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                try:
                    message = decode(line)
                except Malformed as error:
                    self._hear(str(error))
                else:
                    self._tell(message)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in python.lines_of(stream):
                self._tail.append(line)
                self._hear(line)

    def _await_end(self) -> None:
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        # Processes that it started may hold its pipes open, and nobody else will end them.
        self._signal(signal.SIGKILL)
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)  # not for ever: a process may have left the group
        with self._lock:
            code = self._process.wait()
            self._reaped = True
        self.dismiss()
        self._ended.set()
        self._tell(Exit(code=code, stderr_tail="\n".join(self._tail)))


def spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that waits for its job on stdin; to be handed to Child. Raises OSError."""
    return python.piped(command, _GIVE_BACK | python.environment())
