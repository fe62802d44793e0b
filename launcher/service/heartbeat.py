"""Keeping a claim: beats from a thread that does no work, and the lease by our own clock."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import structlog
from sqlalchemy import Engine

from configs.errors import DatabaseUnavailable
from pipeline.messages import Progress
from storage import claims
from storage.driver_errors import stayed_locked
from storage.engine import transaction
from storage.records import Claim

_BEATS_PER_LEASE = 8
_LONGEST_INTERVAL = 15.0  # however long a lease is, a cancel is seen so soon
_FIRST_PAUSE = 1 / 16  # of an interval, after a beat that failed; then doubling
_LEAST_PATIENCE = 5.0
_NEWS_SECONDS = 2.0  # progress is written so soon, for those who watch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is known of a claim after a beat. It is replaced as a whole: other threads read it.

    `lease_ends`: by time.monotonic(). `failing`: the database did not take the last beat.
    """

    lease_ends: float
    lost: bool = False
    cancel_requested: bool = False
    failing: bool = False

    def lease_left(self) -> float:
        """Seconds for which nobody else can have taken the batch; negative afterwards."""
        return self.lease_ends - time.monotonic()


class Rhythm:
    """When to beat: again and again, and after a beat that failed soon, then later and later."""

    def __init__(self, lease_seconds: float, now: float) -> None:
        """`now`, here and below: by time.monotonic()."""
        self._interval = interval_of(lease_seconds)
        self.beaten(now, answered=True)

    def beaten(self, now: float, *, answered: bool) -> None:
        if answered:
            self._due = now + self._interval * _jitter()
            self._retry = self._interval * _FIRST_PAUSE
        else:
            self._due = now + self._retry * _jitter()
            self._retry = min(self._interval, 2 * self._retry)

    def rest(self, now: float) -> float:
        """Seconds until the next beat, or until one should look for news."""
        return max(0.0, min(_NEWS_SECONDS, self._due - now))

    def is_due(self, now: float) -> bool:
        return now >= self._due


class Heartbeat:
    """Inside its `with`, renews the lease of one claim again and again.

    Only an answer of the database proves a loss; a beat that fails is tried again, and one that
    comes late still renews. `answered` is called from the beating thread after each answer.
    """

    def __init__(
        self,
        engine: Engine,
        claim: Claim,
        *,
        lease_seconds: float,
        claimed_at: float,
        answered: Callable[[], None],
    ) -> None:
        """`claimed_at`: time.monotonic() before the claim was sent."""
        self.pulse = Pulse(claimed_at + lease_seconds)
        self._engine = engine
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._answered = answered
        self._progress: Progress | None = None
        self._written: Progress | None = None
        self._stopped = threading.Event()
        self._locked = False
        self._thread = threading.Thread(
            target=self._run, name=f"heartbeat-{claim.batch_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """No beat begins after this; one that is on its way is not waited for."""
        self._stopped.set()

    def progress(self, progress: Progress) -> None:
        """What the next beat writes."""
        self._progress = progress

    def _run(self) -> None:
        rhythm = Rhythm(self._lease_seconds, time.monotonic())
        while not self.pulse.lost and not self._stopped.wait(rhythm.rest(time.monotonic())):
            if self._has_news or rhythm.is_due(time.monotonic()):
                answered = self._beat()
                rhythm.beaten(time.monotonic(), answered=answered)

    @property
    def _has_news(self) -> bool:
        """To be written before the next beat is due; a database that does not answer has time."""
        return self._progress != self._written and not self.pulse.failing

    def _beat(self) -> bool:
        sent = time.monotonic()
        progress = self._progress
        try:
            beat = transaction(
                self._engine,
                lambda connection: claims.beat(
                    connection,
                    self._claim,
                    lease_seconds=self._lease_seconds,
                    progress=progress.fraction if progress else None,
                    note=progress.note if progress else None,
                ),
                attempts=1,
            )
        except Exception as error:  # whatever it is, the next beat may succeed
            self._fail(error)
            return False
        if self.pulse.failing:
            log.info("heartbeat goes on", batch_id=self._claim.batch_id)
        self._locked = False
        if beat.owned:
            self._written = progress
        self.pulse = Pulse(
            lease_ends=sent + self._lease_seconds if beat.owned else self.pulse.lease_ends,
            lost=not beat.owned,
            cancel_requested=beat.cancel_requested,
        )
        self._answered()
        return True

    def _fail(self, error: Exception) -> None:
        locked = stayed_locked(error)
        if locked and not self._locked:
            error = DatabaseUnavailable(
                f"row {self._claim.batch_id} of dc_batch is locked by another transaction; whoever "
                "has changed it must commit that, or roll it back"
            )
        elif self.pulse.failing:
            return
        self.pulse = replace(self.pulse, failing=True)
        self._locked = locked
        log.warning(
            "heartbeat failed; trying on",
            batch_id=self._claim.batch_id,
            error=str(error),
            lease_left=round(self.pulse.lease_left(), 1),
        )


def interval_of(lease_seconds: float) -> float:
    """Seconds from one beat to the next at most, while the database answers."""
    return min(_LONGEST_INTERVAL, lease_seconds / _BEATS_PER_LEASE)


def patience_of(lease_seconds: float) -> float:
    """Seconds to wait for the database's answer: a beat that waits for a dead connection must leave
    time for others on a new one.
    """
    return max(_LEAST_PATIENCE, interval_of(lease_seconds))


def latest(lease_seconds: float) -> float:
    """Seconds after which a healthy launcher has said that it lives, even if once the database took
    its time.
    """
    return 2 * interval_of(lease_seconds)


def _jitter() -> float:
    return random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, no secret
