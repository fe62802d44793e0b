"""What a mode works with: everything that reaches outside is handed to it here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine

from configs.settings import Settings
from pipeline.executor import Executor
from storage import claims
from storage.artifacts.port import Store
from storage.bulk import bulk_engine
from storage.cache import Cache
from storage.engine import reading, transaction
from storage.records import Claim

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The world of one run of one batch."""

    settings: Settings
    engine: Engine
    store: Store
    cache: Cache
    executor: Executor
    claim: Claim
    report: Callable[[float, str], None]
    """Tells progress (0 to 1) and a note; cheap, call it often."""

    def read(self, question: Callable[[Connection], T]) -> T:
        with reading(self.engine) as connection:
            return question(connection)

    def commit(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction that holds the batch.

        Raises:
            LeaseLost: the batch is no longer ours; nothing was written.
        """

        def guarded(connection: Connection) -> T:
            claims.hold(connection, self.claim)
            return work(connection)

        return transaction(self.engine, guarded)

    def commit_many(self, work: Callable[[Connection], T]) -> T:
        """As `commit`, for work that writes so many rows that it takes long.

        The batch is held at the end alone, so that its heartbeats need not wait meanwhile. The
        connection may bulk load.
        """

        def guarded(connection: Connection) -> T:
            value = work(connection)
            claims.hold(connection, self.claim)
            return value

        return transaction(bulk_engine(self.engine), guarded)
