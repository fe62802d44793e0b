"""The history of a batch: one row of dc_batch_attempt for each claim."""

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from configs.errors import LeaseLost
from storage.columns import error_columns, utc_now
from storage.records import Batch, Claim
from storage.schema import dc_batch, dc_batch_attempt

_attempt = dc_batch_attempt.c
_batch = dc_batch.c

UNCLAIMED = and_(
    _batch.state == "U",
    ~exists().where(
        _attempt.batch_id == _batch.batch_id,
        _attempt.fence == _batch.fence,
        _attempt.finished_at.is_(None),
    ),
)
"""A row that was set to U by hand: no launcher runs it."""

# Written once, since every batch needs them.
_BEGIN = insert(dc_batch_attempt)
_END = (
    update(dc_batch_attempt)
    .where(_attempt.batch_id == bindparam("the_batch"), _attempt.fence == bindparam("the_fence"))
    .values(finished_at=utc_now())
)


def begin(connection: Connection, batch: Batch, identity: str) -> None:
    """Record that the batch was claimed, and that those who ran it before have ended."""
    row = {
        "batch_id": batch.batch_id,
        "fence": batch.fence,
        "attempt": batch.attempt,
        "serve_server_id": batch.serve_server_id,
        "identity": identity,
        "started_at": batch.work_date,
    }
    if batch.fence > 1:
        _end_forgotten(connection, batch)
    try:
        connection.execute(_BEGIN, row)
    except IntegrityError:
        # An operator deleted the batch and inserted another under its number.
        connection.execute(delete(dc_batch_attempt).where(_attempt.batch_id == batch.batch_id))
        connection.execute(_BEGIN, row)


def unclaimed(connection: Connection) -> list[int]:
    """The batches that were set to U by hand."""
    return [*connection.scalars(select(_batch.batch_id).where(UNCLAIMED).order_by(_batch.batch_id))]


def _end_forgotten(connection: Connection, batch: Batch) -> None:
    """An operator who sets a running batch to I leaves its attempt open."""
    connection.execute(
        update(dc_batch_attempt)
        .where(
            _attempt.batch_id == batch.batch_id,
            _attempt.fence < batch.fence,
            _attempt.finished_at.is_(None),
        )
        .values(
            finished_at=utc_now(),
            outcome="E",
            error_class=LeaseLost.__name__,
            error_text="an operator changed the batch while it ran",
        )
    )


def identity(connection: Connection, batch_id: int, fence: int) -> str | None:
    """The identity of the process that made this claim; None: it was set to U by hand."""
    found: str | None = connection.scalar(
        select(_attempt.identity).where(_attempt.batch_id == batch_id, _attempt.fence == fence)
    )
    return found


def end(
    connection: Connection,
    batch_id: int,
    fence: int,
    outcome: str,
    error_class: str | None = None,
    error_text: str | None = None,
) -> None:
    """Record how it ended: C, E, or I when it was given back. A row set to U by hand has none."""
    connection.execute(
        _END,
        {
            "the_batch": batch_id,
            "the_fence": fence,
            "outcome": outcome,
            **error_columns(error_class, error_text),
        },
    )


def given_back(connection: Connection, claim: Claim, error_class: str, times: int) -> bool:
    """Whether the claims before this one, so many of them, all ended in this, given back."""
    count = connection.scalar(
        select(func.count()).where(
            _attempt.batch_id == claim.batch_id,
            _attempt.fence.between(claim.fence - times, claim.fence - 1),
            _attempt.outcome == "I",
            _attempt.error_class == error_class,
        )
    )
    return count == times
