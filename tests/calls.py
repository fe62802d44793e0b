"""Calls of repository functions, each in a transaction of its own, as the program makes them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, insert, select, text, update

from configs.errors import Retry
from storage import batches, claims, servers
from storage.engine import reading, transaction
from storage.offers import Offer
from storage.records import Batch, Claim
from storage.schema import dc_batch, dc_batch_attempt, dc_batch_result, dc_model

T = TypeVar("T")
FAR = datetime(2999, 1, 1)  # noqa: DTZ001 - UTC, as the column
_TEXTS = (
    *("model_id", "params", "uri", "format", "sha256", "scores_uri", "scores_sha256"),
    *("preprocessor_uri", "preprocessor_sha256", "fingerprint"),
)


class Calls:
    """Where operators and launchers of a test meet the database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return transaction(self.engine, lambda connection: function(connection, *args, **kwargs))

    def add(self, **columns: Any) -> int:
        return self(batches.add, **({"mode": "train"} | columns))

    def change(self, batch_id: int, **columns: Any) -> None:
        change = update(dc_batch).where(dc_batch.c.batch_id == batch_id).values(columns)
        self(lambda connection: connection.execute(change))

    def add_model(
        self,
        batch_id: int,
        model_no: int = 1,
        *,
        valid: Mapping[str, Any] | None = None,
        test: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """A model that nobody trained, and its figures on both parts."""
        key = {"batch_id": batch_id, "model_no": model_no, "model_sub_no": 1, "fence": 1}
        model = key | {"threshold": 0.5, "bytes": 1, "split_id": "x"}
        model |= dict.fromkeys(_TEXTS, "x") | columns
        self(lambda connection: connection.execute(insert(dc_model).values(model)))
        for split, figures in (("valid", valid), ("test", test)):
            row = key | {"split": split, "state": "C"} | dict(figures or {})
            statement = insert(dc_batch_result).values(row)
            self(lambda connection, statement=statement: connection.execute(statement))

    def register(self, server: str, **facts: Any) -> None:
        """As a launcher that begins; its identity is its name unless another is given."""
        usual = {"identity": server, "host": "h", "pid": 1, "version": "1", "slots": 2}
        self(servers.register, server=server, **usual | facts)

    def claim(
        self,
        server: str = "S1",
        *,
        lease: float = 60,
        batch_id: int | None = None,
        identity: str | None = None,
        **offer: Any,
    ) -> Batch | None:
        return self(
            claims.claim,
            Offer(server=server, **offer),
            identity=identity or f"{server}:1:b:0",
            lease_seconds=lease,
            batch_id=batch_id,
        )

    def take(self, server: str = "S1", *, lease: float = 60, **offer: Any) -> Claim:
        batch = self.claim(server, lease=lease, **offer)
        assert batch is not None, "there was nothing to claim"
        return claims.claim_of(batch)

    def beat(self, claim: Claim, **kwargs: Any) -> claims.Beat:
        given = {"lease_seconds": 60, "progress": None, "note": None} | kwargs
        return self(claims.beat, claim, **given)

    def finish(self, claim: Claim) -> bool:
        return self(claims.finish, claim)

    def fail(self, claim: Claim, retry: Retry = Retry.LATER, **kwargs: Any) -> bool:
        given = {"error_class": "Boom", "error_text": "it broke"} | kwargs
        return self(claims.fail, claim, retry=retry, **given)

    def finished(self, **columns: Any) -> int:
        """A batch that has run."""
        batch_id = self.add(**columns)
        self.finish(self.take(batch_id=batch_id))
        return batch_id

    def failed(self, retry: Retry = Retry.NEVER, **columns: Any) -> int:
        batch_id = self.add(**columns)
        self.fail(self.take(batch_id=batch_id), retry)
        return batch_id

    def sql(self, statement: str, **parameters: Any) -> int:
        """What an operator types; returns the number of rows it met."""
        with self.engine.begin() as connection:
            return connection.execute(text(statement), parameters).rowcount

    def value(self, query: str, **parameters: Any) -> Any:
        with reading(self.engine) as connection:
            return connection.execute(text(query), parameters).scalar()

    def read(self, batch_id: int) -> Batch:
        with reading(self.engine) as connection:
            batch = batches.read(connection, batch_id)
        assert batch is not None
        return batch

    def attempts(self, batch_id: int) -> Sequence[Any]:
        """Rows of dc_batch_attempt, the latest first."""
        column = dc_batch_attempt.c
        query = select(dc_batch_attempt).where(column.batch_id == batch_id)
        with reading(self.engine) as connection:
            return connection.execute(query.order_by(column.fence.desc())).all()

    def states(self) -> str:
        """The letters of all batches, in the order of their numbers."""
        with reading(self.engine) as connection:
            return "".join(connection.scalars(text("SELECT state FROM dc_batch ORDER BY batch_id")))
