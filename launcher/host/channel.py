"""The pipes between a launcher and a process that it starts, seen from that process.

The launcher writes one line to its stdin and keeps that pipe open; the process answers on its
stdout. End of file on stdin means that the launcher is dead.
"""

import os
import sys
import threading
from io import TextIOWrapper

from pipeline.messages import Job, Malformed, Message, Send, decode_job, encode

_PARENT_DIED = 3


def open_channel() -> tuple[Job, Send]:
    """Take over stdin and stdout of this process; return its job and how to answer.

    From then on prints go to stderr, reads of stdin find nothing, and the whole process exits
    at once when the launcher dies: what it would publish could no longer be accepted. `send` may
    be called by several threads.

    Raises:
        Malformed: the first line on stdin is not a job.
    """
    source, target = private_pipes()
    job = decode_job(read_line(source))
    # A death signal from the kernel (PR_SET_PDEATHSIG) would not do: it follows the launcher's
    # thread that started us, which may end earlier than the launcher.
    threading.Thread(target=exit_at_eof, args=(source,), daemon=True).start()
    lock = threading.Lock()

    def send(message: Message) -> None:
        line = memoryview(encode(message))
        with lock:
            while line:
                line = line[os.write(target, line) :]

    return job, send


def private_pipes() -> tuple[int, int]:
    """Descriptors of what stdin and stdout were; from now on stdin is empty and stdout is stderr.

    Processes started from here on inherit neither.
    """
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):  # what is printed must not end with this process
        sys.stdout.reconfigure(line_buffering=True)
    return source, target


def read_line(source: int) -> bytes:
    """The first line, which is all that a launcher writes.

    Raises:
        Malformed: there is none.
    """
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(source, 65536)
        if not piece:
            raise Malformed("stdin ended before a whole line; a launcher starts this process")
        line += piece
    return line


def exit_at_eof(source: int) -> None:
    """End this process when whoever holds the other end of a pipe is dead."""
    while os.read(source, 65536):
        pass
    os._exit(_PARENT_DIED)
