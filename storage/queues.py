"""Queues: names that rows carry. One is in dc_queue only once somebody paused it."""

from sqlalchemy import Connection, delete, select

from storage.schema import dc_batch, dc_queue
from storage.upsert import upsert


def pause(connection: Connection, queue: str) -> None:
    """Keep launchers from claiming its batches; those that run go on."""
    upsert(connection, dc_queue, {"queue": queue}, {"paused": 1})


def resume(connection: Connection, queue: str) -> None:
    """Delete its row, which says nothing else: so a name that was mistyped does not stay."""
    connection.execute(delete(dc_queue).where(dc_queue.c.queue == queue))


def paused(connection: Connection) -> list[str]:
    names = select(dc_queue.c.queue).where(dc_queue.c.paused != 0).order_by(dc_queue.c.queue)
    return list(connection.scalars(names))


def of_batches(connection: Connection) -> list[str]:
    """Names that rows of dc_batch carry, also rows that have ended."""
    return list(connection.scalars(select(dc_batch.c.queue).distinct()))
