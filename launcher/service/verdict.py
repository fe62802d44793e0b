"""What to do with a running batch: a pure function from what is known to a verdict.

The supervisor gathers facts and performs verdicts; every rule about them stands here.
"""

import signal
from dataclasses import dataclass
from enum import Enum

from configs.errors import (
    Cancelled,
    ChildLost,
    ClusterAway,
    LeaseExpired,
    LeaseLost,
    LoginRefused,
    StartFailed,
)
from launcher.host.processes import how_it_ended
from pipeline.messages import Failed, Finished


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps every batch from beginning, and what to do. `at_most`: how many times in a row a
    batch is given back for it; what it might do itself must come to an end.
    """

    what: str
    remedy: str
    at_most: int | None = None

    @property
    def why(self) -> str:
        return f"{self.what}; {self.remedy}"


CANNOT_BEGIN = {
    ClusterAway.__name__: Hindrance(
        "the Dask cluster cannot be used", "`deepcredit doctor` examines it"
    ),
    StartFailed.__name__: Hindrance(
        "the host cannot start the process that runs a batch",
        "the log of its launcher says why",
        at_most=10,
    ),
    LoginRefused.__name__: Hindrance(
        "the database refuses new logins",
        "if the account's password was changed, start the launcher again with the new one",
        at_most=10,
    ),
}
"""By the class of its error."""


class Stopping(Enum):
    """What the launcher has been told."""

    NO = "no"
    DRAINING = "draining"  # finish what runs, if that takes no longer than the grace time
    NOW = "now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How the child ended. `code` is negative for a signal, as in subprocess."""

    code: int
    stderr_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a verdict depends on.

    `begun`: the child has told of some progress. `last_word` is what it said about the batch's
    outcome; `exit` is set once it is dead.
    `lease_left` counts seconds on the local monotonic clock since the last beat that succeeded;
    `unreachable` says that beats were tried since, and the database did not take them.
    """

    begun: bool = False
    last_word: Finished | Failed | None = None
    exit: Exit | None = None
    lost: bool = False
    cancel_requested: bool = False
    lease_left: float
    unreachable: bool = False
    stopping: Stopping = Stopping.NO


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do yet."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the batch back with its attempt, if it is still ours: set I. `error_class`: of what
    kept it from beginning; `at_most`: after so many times in a row it counts as a failure.
    """

    reason: str = "the launcher stops"
    error_class: str | None = None
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Abandon:
    """The batch is not ours: stop the child and write nothing."""

    reason: str


Verdict = Wait | Finished | Failed | Release | Abandon
"""Finished: set C. Failed: set E, to be tried again as its `retry` says."""


def judge(now: Situation) -> Verdict:  # noqa: PLR0911 - one rule a line, in order of precedence
    """The verdict on a running batch; anything but Wait ends its child if that still lives.

    A child's word counts even when the lease has run out or a cancel came a moment before: the
    row's guard, not our clock, decides whether it is still accepted.
    """
    if now.lost:
        return Abandon("another run, an operator or a sweep took the batch")
    if isinstance(now.last_word, Finished):
        return now.last_word
    if isinstance(now.last_word, Failed):
        return _failed(now.last_word, now)
    if now.cancel_requested:
        return _cancelled()
    if now.lease_left <= 0 and not now.unreachable:
        # Starved, perhaps by this very batch: to give the attempt back would let it go on for ever.
        return _expired()
    if now.stopping is Stopping.NOW:
        return Release()
    if now.lease_left <= 0:
        return Release("the lease ended before the database let us renew it")
    if now.exit is not None:
        return _died(now.exit, now)
    return Wait()


def _failed(word: Failed, now: Situation) -> Verdict:
    if word.error_class == LeaseLost.__name__:
        return Abandon("a guarded write of the run was refused: the batch is no longer ours")
    if now.cancel_requested:
        return _cancelled()
    if word.error_class in CANNOT_BEGIN and not now.begun:
        return _not_begun(word.error_class, word.error_text)
    return word


def _not_begun(error_class: str, why: str) -> Release:
    return Release(why, error_class, CANNOT_BEGIN[error_class].at_most)


def _cancelled() -> Failed:
    return Failed(Cancelled.__name__, "cancelled by an operator", Cancelled.retry)


def _expired() -> Failed:
    """What a sweep would say; if nobody has taken the batch yet, it need not wait for one."""
    why = "the lease ended while this launcher was stopped, or had no time to renew it"
    return Failed(LeaseExpired.__name__, why, LeaseExpired.retry)


def _died(end: Exit, now: Situation) -> Verdict:
    # Whoever stops a service may signal all of its processes: no fault of the batch.
    if now.stopping is not Stopping.NO and end.code in (-signal.SIGTERM, -signal.SIGINT):
        return Release()
    # A signal may be the kernel's, for the memory that this batch takes.
    if end.code >= 0 and not now.begun:
        return _not_begun(StartFailed.__name__, _describe(end))
    last_printed = f"It last printed:\n{end.stderr_tail}" if end.stderr_tail else None
    return Failed(ChildLost.__name__, _describe(end), ChildLost.retry, last_printed)


def _describe(end: Exit) -> str:
    """How a child died that did not say why."""
    said = f"the process that ran the batch {how_it_ended(end.code)}"
    return said if end.code < 0 else f"{said} and no result"
