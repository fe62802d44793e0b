"""A database that benchmarks ask directly, and the times that it takes."""

import statistics
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from configs.settings import load
from storage import claims
from storage.engine import make_engine, transaction
from storage.offers import Offer


def connect(overrides: dict[str, Any], *, autocommit: bool = False) -> Engine:
    settings = load(overrides, environ={}, file=Path("no settings"))
    return make_engine(settings, autocommit=autocommit)


def claim(engine: Engine, server: str, queue: str = "default") -> Any:
    def take(connection: Connection) -> Any:
        return claims.claim(
            connection,
            Offer(server=server, queues=(queue,)),
            identity=server,
            lease_seconds=120,
        )

    return transaction(engine, take)


def execute(engine: Engine, statement: str, times: list[float] | None = None) -> None:
    started = time.perf_counter()
    transaction(engine, lambda connection: connection.execute(text(statement)))
    if times is not None:
        times.append((time.perf_counter() - started) * 1000)


def status(engine: Engine, name: str) -> int:
    """A counter of the server since its start; to ask costs it this question and a COMMIT."""
    question = f"SHOW GLOBAL STATUS LIKE '{name}'"
    return transaction(engine, lambda c: int(c.exec_driver_sql(question).one()[1]))


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
