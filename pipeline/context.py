"""What a mode works with: everything that reaches outside is handed to it here."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from configs.backoff import pauses
from configs.errors import DatabaseUnavailable
from configs.settings import Settings
from pipeline.executor import Executor
from pipeline.progress import Report
from storage import claims
from storage.artifacts.port import Store
from storage.bulk_engine import bulk_engine
from storage.cache import Cache
from storage.engine import reading, transaction
from storage.records import Claim

T = TypeVar("T")


class Read(Protocol):
    """Runs a question in a transaction of its own."""

    def __call__(self, question: Callable[[Connection], T], /) -> T: ...


_PAUSES = 0.1, 5.0
_SHORT_SECONDS = 0.05
# Who waits for SQLite's one write lock asks for it every 0.1 s, and is not told when it is free.
_TURN_SECONDS = 0.12

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The world of one run of one batch.

    What asks or writes the database is repeated while that does not answer, for the length of a
    lease from the first loss: by then the launcher has ended this process, or the batch is
    another's. A COMMIT whose answer was lost may have arrived, so `work` must write the same when
    it runs again.
    """

    settings: Settings
    engine: Engine
    store: Store
    cache: Cache
    executor: Executor
    claim: Claim
    report: Report
    """Tells progress (0 to 1) and a note; cheap, call it often."""
    tag: str = ""
    """What the batch's need_tag asks of every worker; empty: nothing."""

    def read(self, question: Callable[[Connection], T]) -> T:
        def asked() -> T:
            with reading(self.engine) as connection:
                return question(connection)

        return self._persist(asked)

    def commit(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction that holds the batch.

        Raises:
            LeaseLost: the batch is no longer ours; nothing was written.
        """

        def guarded(connection: Connection) -> T:
            claims.hold(connection, self.claim)
            return work(connection)

        return self._persist(lambda: transaction(self.engine, guarded))

    def commit_many(self, work: Callable[[Connection], T]) -> T:
        """As `commit`, for work that writes so many rows that it takes long.

        The batch is held at the end alone, so that its heartbeats need not wait meanwhile. SQLite
        has one write lock for all: make such work of pieces of a second or so, between which
        others have their turn. The connection may bulk load.
        """

        def guarded(connection: Connection) -> T:
            value = work(connection)
            claims.hold(connection, self.claim)
            return value

        begun = time.monotonic()
        value = self._persist(lambda: transaction(bulk_engine(self.engine), guarded))
        if self.engine.dialect.name == "sqlite" and time.monotonic() - begun > _SHORT_SECONDS:
            time.sleep(_TURN_SECONDS)
        return value

    def _persist(self, step: Callable[[], T]) -> T:
        ends, waits = None, pauses(*_PAUSES)
        while True:
            try:
                return step()
            except DatabaseUnavailable as error:
                now, pause = time.monotonic(), next(waits)
                ends = ends or now + self.settings.lease_seconds
                if now + pause >= ends:
                    raise
                log.warning("trying on", batch_id=self.claim.batch_id, error=str(error))
            time.sleep(pause)
