"""Lines of JSON between a launcher and the child process that runs a batch: a job to the child,
messages from it. What carries them is launcher/host/channel.py.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from configs.errors import DeepCreditError, Retry, retry_of
from storage.records import Claim


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
