"""Lines of JSON between a launcher and the child process that runs a batch.

The launcher writes one job to the child's stdin and keeps that pipe open; the child writes
messages to its stdout. End of file on stdin means that the launcher is dead.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from configs.errors import DeepCreditError, Retry, retry_of
from storage.records import Claim

_PARENT_DIED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a child is to run. `settings` holds no secrets: the child reads its own environment.

    `certificates` (ca, cert, key as PEM text) are for a scheduler that asks for TLS; they are
    secret, so they are no part of the repr. `embedded`: whether the cluster is the launcher's own,
    which shares its cache, and which it starts anew when it is lost.
    """

    claim: Claim
    scheduler: str
    settings: Mapping[str, Any]
    certificates: Mapping[str, str] | None = field(default=None, repr=False)
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the batch is, from 0 to 1."""

    fraction: float
    note: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The work is done; `summary` is one line for the log."""

    summary: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The work cannot go on. `error_text` is for the operator, `traceback` for us."""

    error_class: str
    error_text: str
    retry: Retry
    traceback: str | None = None


Message = Progress | Finished | Failed
Send = Callable[[Message], None]


class Malformed(ValueError):
    """A line is not a message."""


def failure(error: BaseException) -> Failed:
    """The message for an error; one that is not ours is named: its text alone may say little."""
    text = str(error) or type(error).__name__
    if not isinstance(error, DeepCreditError):
        text = f"{type(error).__name__}: {text}"
    trace = "".join(traceback.format_exception(error))
    return Failed(
        type(error).__name__, _shortened(text, 4_000), retry_of(error), _shortened(trace, 60_000)
    )


def _shortened(text: str, limit: int) -> str:
    """Both ends of a text that is too long: what went wrong and where."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def encode(message: Message | Job) -> bytes:
    """One line, newline included."""
    body = asdict(message)
    if isinstance(message, Failed):
        body["retry"] = message.retry.name
    kind = type(message).__name__
    return json.dumps({"type": kind, **body}).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """
    Raises:
        Malformed: the line is not a message.
    """
    try:
        body = json.loads(line)
        match body.pop("type"):
            case "Progress":
                return Progress(float(body["fraction"]), _clean(body["note"]))
            case "Finished":
                return Finished(_clean(body["summary"]))
            case "Failed":
                trace = body["traceback"]
                return Failed(
                    _clean(body["error_class"]),
                    _clean(body["error_text"]),
                    Retry[body["retry"]],
                    None if trace is None else _clean(trace),
                )
            case other:
                raise Malformed(f"unknown message type {other!r}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"not a message: {line[:200]!r}") from error


def _clean(text: str) -> str:
    """Without lone surrogates (of undecodable file names), which no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def decode_job(line: bytes) -> Job:
    """
    Raises:
        Malformed: the line is not a job.
    """
    try:
        body = json.loads(line)
        return Job(
            claim=Claim(**body["claim"]),
            scheduler=body["scheduler"],
            settings=body["settings"],
            certificates=body["certificates"],
            embedded=body["embedded"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"not a job: {line[:200]!r}") from error


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
    threading.Thread(target=_exit_at_eof, args=(source,), daemon=True).start()
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


def _exit_at_eof(source: int) -> None:
    while os.read(source, 65536):
        pass
    os._exit(_PARENT_DIED)
