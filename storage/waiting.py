"""What waits at this moment: in each queue, and since when; as quick to read as an overview."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, or_, select

from storage.claimable import waits_for_retry
from storage.columns import seconds_between, utc_now
from storage.queues import paused as paused_queues
from storage.records import Record
from storage.schema import dc_batch

_batch = dc_batch.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue(Record):
    """`due` and `later`: batches in E that are to be retried now, and in a while."""

    queue: str
    waiting: int
    due: int
    later: int
    paused: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting(Record):
    """`seconds`: since it was added, or since a launcher gave it back."""

    batch_id: int
    queue: str
    seconds: int


def queues(connection: Connection) -> tuple[Queue, ...]:
    """Queues in which something waits, is to be retried, or is kept from running."""
    paused = set(paused_queues(connection))
    waiting = {str(queue): int(n) for queue, n in connection.execute(_WAITING)}
    retries = {
        row.queue: (row.due, row.later)
        for row in connection.execute(_RETRIES, {"queues": _with_failures(connection)})
    }
    found = []
    for queue in sorted(paused | set(waiting) | set(retries)):
        due, later = retries.get(queue, (0, 0))
        found.append(
            Queue(
                queue=queue,
                waiting=waiting.get(queue, 0),
                due=due,
                later=later,
                paused=int(queue in paused),
            )
        )
    return tuple(found)


def _with_failures(connection: Connection) -> list[str]:
    """Queues that have a row in E, by leaps from one name to the next: grouping would read an
    entry of the index for every row that ever failed.
    """
    names = [""]
    while (name := connection.scalar(_NEXT_NAME, {"after": names[-1]})) is not None:
        names.append(name)
    return names[1:]


def oldest(connection: Connection) -> Waiting | None:
    row = connection.execute(_OLDEST).first()
    return None if row is None else Waiting.from_row(row)


def longest_seconds(connection: Connection) -> int:
    """For which the oldest waiting batch has waited; 0 if none waits."""
    found = oldest(connection)
    return found.seconds if found else 0


def _first() -> Select[*tuple[Any, ...]]:
    """The first by number whose time has come: numbers stand in an index. To read when each was
    added would cost a row for every batch that waits.
    """
    due = or_(_batch.run_after.is_(None), _batch.run_after <= utc_now())
    first = select(func.min(_batch.batch_id)).where(_batch.state == "I", due, _UNASKED)
    ready = func.coalesce(_batch.work_end_date, _batch.created_at)
    since = case((_batch.run_after > ready, _batch.run_after), else_=ready)
    return select(
        _batch.batch_id, _batch.queue, seconds_between(since, utc_now()).label("seconds")
    ).where(_batch.batch_id == first.scalar_subquery())


# What nobody asked to cancel. The index that tells what waits lacks this column, and to read a row
# for each waiting batch takes long; so the few to be cancelled are looked up in an index of their
# own, and left out.
_asked = dc_batch.alias("asked").c
_UNASKED = _batch.batch_id.not_in(
    select(_asked.batch_id).where(_asked.cancel_requested_at.is_not(None))
)

_WAITING = (
    select(_batch.queue, func.count()).where(_batch.state == "I", _UNASKED).group_by(_batch.queue)
)
_NEXT_NAME = (
    select(_batch.queue)
    .where(_batch.state == "E", _batch.queue > bindparam("after"))
    .order_by(_batch.queue)
    .limit(1)
)
_RETRIES = (
    select(
        _batch.queue,
        func.count(case((_batch.run_after <= utc_now(), 1))).label("due"),
        func.count(case((_batch.run_after > utc_now(), 1))).label("later"),
    )
    .where(
        waits_for_retry,
        _batch.cancel_requested_at.is_(None),
        _batch.queue.in_(bindparam("queues", expanding=True)),
    )
    .group_by(_batch.queue)
)
_OLDEST = _first()
