"""What is going on at this moment, in a few reads that follow indexes however many rows have ended.

They are repeated every second or two by everyone who watches, so none counts what is completed.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
)

from storage.attempts import UNCLAIMED
from storage.claimable import waits_for_retry
from storage.columns import seconds_between, utc_now
from storage.records import Record
from storage.schema import dc_batch, dc_queue, dc_server
from storage.servers import decoded

R = TypeVar("R", bound=Record)

_DAY = 24 * 60 * 60

_batch = dc_batch.c
_server = dc_server.c


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSeen(Record):
    """A launcher; `identity` None: it has stopped. `silent`: seconds since it was last seen.
    `takes_none`: why it claims nothing at present.
    """

    serve_server_id: str
    identity: str | None
    silent: int | None
    slots: int | None
    tags: tuple[str, ...]
    queues: tuple[str, ...]
    paused: int
    takes_none: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Record):
    """A batch in U. `seconds`: since its claim; `overdue`: its lease has ended; `unclaimed`: an
    operator wrote the U.
    """

    batch_id: int
    mode: str | None
    batch_desc: str | None
    serve_server_id: str | None
    attempt: int
    progress: float | None
    progress_note: str | None
    seconds: int | None
    overdue: int
    unclaimed: int
    cancelling: int


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure(Record):
    batch_id: int
    mode: str | None
    seconds: int
    error_class: str | None
    error_text: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    servers: tuple[ServerSeen, ...]
    runs: tuple[Run, ...]
    queues: tuple[Queue, ...]
    oldest: Waiting | None
    failures: tuple[Failure, ...]
    """The latest final errors of the last day."""
    failed: int
    """How many there are of them."""


def servers(connection: Connection) -> tuple[ServerSeen, ...]:
    rows = connection.execute(_SERVERS).mappings()
    return tuple(ServerSeen.from_row(decoded(row)) for row in rows)


def read(connection: Connection, *, failures: int = 10) -> Overview:
    """`failures`: how many final errors to tell of."""
    return Overview(
        servers=servers(connection),
        runs=_rows(connection, Run, _RUNS),
        queues=_queues(connection),
        oldest=next(iter(_rows(connection, Waiting, _OLDEST)), None),
        failures=_rows(connection, Failure, _failures(failures)),
        failed=connection.scalar(select(func.count()).where(*_FAILED_TODAY)) or 0,
    )


def oldest_waiting(connection: Connection) -> int:
    """Seconds for which the oldest waiting batch has waited; 0 if none waits."""
    found = next(iter(_rows(connection, Waiting, _OLDEST)), None)
    return found.seconds if found else 0


def states(connection: Connection) -> dict[str, int]:
    """How many batches there are by state. It reads an index from end to end: not to be repeated
    every second.
    """
    counts = connection.execute(select(_batch.state, func.count()).group_by(_batch.state))
    return {str(state): int(count) for state, count in counts}


def _rows(connection: Connection, kind: type[R], query: Any) -> tuple[R, ...]:
    return tuple(kind.from_row(row) for row in connection.execute(query).mappings())


def _queues(connection: Connection) -> tuple[Queue, ...]:
    """Queues in which something waits, is to be retried, or is kept from running."""
    paused = set(connection.scalars(_PAUSED))
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


def _oldest() -> Select[*tuple[Any, ...]]:
    """Of those whose time has come. By its number, which an index tells: reading when each was
    added would cost a row for every batch that waits.
    """
    due = or_(_batch.run_after.is_(None), _batch.run_after <= utc_now())
    first = select(func.min(_batch.batch_id)).where(_batch.state == "I", due, _UNASKED)
    ready = func.coalesce(_batch.work_end_date, _batch.created_at)
    since = case((_batch.run_after > ready, _batch.run_after), else_=ready)
    return select(
        _batch.batch_id, _batch.queue, seconds_between(since, utc_now()).label("seconds")
    ).where(_batch.batch_id == first.scalar_subquery())


# What nobody asked to cancel, by the index of what somebody did: the others, which tell of state,
# queue and time, do not tell this, and to look at a row for each batch that waits takes long.
_asked = dc_batch.alias("asked").c
_UNASKED = _batch.batch_id.not_in(
    select(_asked.batch_id).where(_asked.cancel_requested_at.is_not(None))
)

_SERVERS = select(
    _server.serve_server_id,
    _server.identity,
    seconds_between(_server.last_seen, utc_now()).label("silent"),
    _server.slots,
    _server.tags,
    _server.queues,
    _server.paused,
    _server.takes_none,
).order_by(_server.serve_server_id)

_RUNS = (
    select(
        _batch.batch_id,
        _batch.mode,
        _batch.batch_desc,
        _batch.serve_server_id,
        _batch.attempt,
        _batch.progress,
        _batch.progress_note,
        seconds_between(_batch.work_date, utc_now()).label("seconds"),
        case((_batch.lease_until < utc_now(), 1), else_=0).label("overdue"),
        case((UNCLAIMED, 1), else_=0).label("unclaimed"),
        case((_batch.cancel_requested_at.is_not(None), 1), else_=0).label("cancelling"),
    )
    .where(_batch.state == "U")
    .order_by(_batch.serve_server_id, _batch.batch_id)
)

_PAUSED = select(dc_queue.c.queue).where(dc_queue.c.paused != 0)
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
_OLDEST = _oldest()

_FAILED_TODAY = (
    _batch.state == "E",
    _batch.work_end_date > utc_now(literal(-_DAY)),
    ~waits_for_retry,
)


def _failures(limit: int) -> Select[*tuple[Any, ...]]:
    return (
        select(
            _batch.batch_id,
            _batch.mode,
            seconds_between(_batch.work_end_date, utc_now()).label("seconds"),
            _batch.error_class,
            _batch.error_text,
        )
        .where(and_(*_FAILED_TODAY))
        .order_by(_batch.work_end_date.desc(), _batch.batch_id.desc())
        .limit(limit)
    )
