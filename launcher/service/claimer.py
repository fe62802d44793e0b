"""Getting batches to run: look, claim, and find out about claims whose answer was lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from configs.errors import DatabaseUnavailable, NotFound, WrongState
from launcher.host.machine import free_memory_mb
from launcher.service.profile import Profile
from launcher.service.settlement import give_back
from storage import batches, claims, taking
from storage.engine import reading, transaction
from storage.kept import Kept, by_others, kept
from storage.offers import HERE, Offer
from storage.records import Batch


@dataclass(frozen=True, slots=True)
class Claimed:
    """`at`: time.monotonic() before the claim was sent, from when the lease surely counts."""

    batch: Batch
    at: float


class Claimer:
    """Claims for one launcher. Its methods raise DatabaseUnavailable and DatabaseRefused."""

    def __init__(
        self,
        engine: Engine,
        peeking: Engine,
        profile: Profile,
        *,
        lease_seconds: float,
        reserved_mb: Callable[[], int] = lambda: 0,
    ) -> None:
        """`peeking`: an engine whose reads cost one statement (make_engine with autocommit).
        `reserved_mb`: what batches that run here may yet take of the host's memory.
        """
        self._engine = engine
        self._peeking = peeking
        self._profile = profile
        self._lease_seconds = lease_seconds
        self._reserved_mb = reserved_mb
        self._doubtful: Claimed | None = None

    def next(self, slot: int) -> Claimed | None:
        """The next batch for this slot; None: there is none at the moment."""
        if (doubtful := self._doubtful) is not None and self._is_ours(doubtful):
            return doubtful
        with reading(self._peeking) as connection:
            promising = taking.claimable(connection, self._offer())
        return self._claim(slot, None) if promising else None

    def this(self, batch_id: int) -> Claimed:
        """
        Raises:
            NotFound: there is no such batch.
            WrongState: it cannot be claimed; the message says why.
        """
        try:
            claimed = self._claim(0, batch_id)
        except DatabaseUnavailable:
            claimed = self._doubtful
            if claimed is None or not self._is_ours(claimed):
                raise
        if claimed is None:
            raise self._why_not(batch_id)
        return claimed

    def give_back_doubtful(self) -> None:
        """On the way out: a claim whose answer was lost must not wait for its lease to end."""
        if self._doubtful is not None:
            give_back(self._engine, claims.claim_of(self._doubtful.batch))

    def nothing_left(self) -> bool:
        """Whether neither this launcher nor another has anything to run now."""
        with reading(self._engine) as connection:
            return not taking.pending(connection, self._offer())

    def running(self) -> list[int]:
        """A few of the batches that keep `nothing_left` from being so."""
        with reading(self._engine) as connection:
            return taking.running(connection, self._offer())

    def left(self) -> list[Kept]:
        """What waits when this launcher goes home, by what keeps it from it."""
        with reading(self._engine) as connection:
            return kept(connection, HERE, self._offer())

    def _claim(self, slot: int, batch_id: int | None) -> Claimed | None:
        at = time.monotonic()

        def work(connection: Connection) -> Claimed | None:
            batch = claims.claim(
                connection,
                self._offer(),
                identity=f"{self._profile.host.identity}:{slot}",
                lease_seconds=self._lease_seconds,
                batch_id=batch_id,
            )
            # From here on the COMMIT may arrive without our knowing.
            self._doubtful = Claimed(batch, at) if batch else None
            return self._doubtful

        claimed = transaction(self._engine, work)
        self._doubtful = None
        return claimed

    def _is_ours(self, doubtful: Claimed) -> bool:
        with reading(self._engine) as connection:
            state = claims.settled(connection, claims.claim_of(doubtful.batch))
        self._doubtful = None
        return state == "U"

    def _offer(self) -> Offer:
        return Offer(
            server=self._profile.server_id,
            queues=self._profile.queues,
            tags=self._profile.tags,
            free_mb=free_memory_mb(self._reserved_mb()),
        )

    def _why_not(self, batch_id: int) -> NotFound | WrongState:
        with reading(self._engine) as connection:
            batch = batches.read(connection, batch_id)
            other = by_others(connection, batch_id)
        if batch is None:
            return NotFound(batches.no_such(batch_id))
        if batch.state == "U":
            reason = f"is running on {batch.serve_server_id}"
        elif batch.state == "C":
            reason = f"is completed; `deepcredit batch rerun {batch_id}` lets it run again"
        elif batch.ended:
            reason = f"has failed for good; `deepcredit batch retry {batch_id}` lets it run again"
        elif batch.cancel_requested_at is not None:
            reason = "is being cancelled"
        elif other is not None:
            reason = f"waits for {other}"
        else:
            reason = "was held by somebody else at this moment; try again"
        return WrongState(f"batch {batch_id} {reason}")
