"""What is going on at this moment, in a few reads that follow indexes however many rows have ended.

They are repeated every second or two by everyone who watches, so none counts what is completed.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, literal, select

from configs.errors import Cancelled
from storage import servers, waiting
from storage.attempts import UNCLAIMED
from storage.claimable import waits_for_retry
from storage.columns import seconds_between, utc_now
from storage.records import Record
from storage.schema import dc_batch
from storage.servers import Server
from storage.waiting import Queue, Waiting

_DAY = 24 * 60 * 60

_batch = dc_batch.c


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
class Failure(Record):
    batch_id: int
    mode: str | None
    seconds: int
    error_class: str | None
    error_text: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    servers: tuple[Server, ...]
    runs: tuple[Run, ...]
    queues: tuple[Queue, ...]
    oldest: Waiting | None
    failures: tuple[Failure, ...]
    """The latest final errors of the last day."""
    failed: int
    """How many final errors there were on the last day."""


def read(connection: Connection, *, failures: int = 10) -> Overview:
    """`failures`: how many final errors to tell of."""
    return Overview(
        servers=servers.listing(connection),
        runs=tuple(map(Run.from_row, connection.execute(_RUNS))),
        queues=waiting.queues(connection),
        oldest=waiting.oldest(connection),
        failures=tuple(map(Failure.from_row, connection.execute(_failures(failures)))),
        failed=connection.scalar(select(func.count()).where(*_FAILED_TODAY)) or 0,
    )


def states(connection: Connection) -> dict[str, int]:
    """How many batches there are by state. It reads an index from end to end: not to be repeated
    every second.
    """
    counts = connection.execute(select(_batch.state, func.count()).group_by(_batch.state))
    return {str(state): int(count) for state, count in counts}


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

_FAILED_TODAY = (
    _batch.state == "E",
    _batch.work_end_date > utc_now(literal(-_DAY)),
    ~waits_for_retry,
    func.coalesce(_batch.error_class, "") != Cancelled.__name__,  # somebody wanted that
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
