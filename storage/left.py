"""What waits although a launcher has nothing to run, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, case, func, select

from storage.claimable import (
    due,
    queue_is_paused,
    server_is_paused,
    suits_memory,
    suits_tag,
    unblocked,
    waits,
)
from storage.records import Offer, Record
from storage.schema import dc_batch

Reason = Literal["queue", "paused queue", "paused server", "tag", "memory", "time", "batch"]

_batch = dc_batch.c
_READ = ("batch_id", "queue", "need_tag", "run_after")


@dataclass(frozen=True, kw_only=True, slots=True)
class Left(Record):
    """Batches that wait for one reason, or for none. `name`: of the queue or tag, if it is one;
    `batch_id`: the first of them; `run_after`: the first time that comes.
    """

    reason: Reason | None
    name: str | None
    n: int
    batch_id: int
    run_after: datetime | None


def left(connection: Connection, offer: Offer) -> list[Left]:
    """What waits while a launcher of this offer runs nothing."""
    reason = case(
        (_batch.queue.not_in(offer.queues), "queue"),
        (queue_is_paused, "paused queue"),
        (server_is_paused, "paused server"),
        (~suits_tag, "tag"),
        (~suits_memory, "memory"),
        (~due, "time"),
        (~unblocked, "batch"),
    )
    waiting = (
        select(reason.label("reason"), *(_batch[name] for name in _READ))
        .where(waits, _batch.cancel_requested_at.is_(None))
        .subquery()
        .c
    )
    name = case(
        (waiting.reason.in_(("queue", "paused queue")), waiting.queue),
        (waiting.reason == "tag", waiting.need_tag),
    ).label("name")
    first = func.min(waiting.batch_id).label("batch_id")
    query = (
        select(
            waiting.reason,
            name,
            func.count().label("n"),
            first,
            func.min(waiting.run_after).label("run_after"),
        )
        .group_by(waiting.reason, name)
        .order_by(first)
    )
    rows = connection.execute(query, offer.parameters).mappings()
    return [Left.from_row(row) for row in rows]
