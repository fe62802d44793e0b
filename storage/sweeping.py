"""Giving an end to batches that nobody looks after any more."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, null, or_, select
from sqlalchemy.exc import DBAPIError

from configs.errors import Cancelled, LeaseExpired
from storage import attempts
from storage.claimable import waits
from storage.columns import utc_now
from storage.driver_errors import is_out_of_range
from storage.schema import dc_batch
from storage.transitions import assign, cancelled, failed, locked, unchanged

_ADOPTED_SECONDS = 60 * 60
_PATIENCE_SECONDS = 2.0

_batch = dc_batch.c


_EXPIRED = (_batch.state == "U", _batch.lease_until < utc_now())
_UNLEASED = (_batch.state == "U", _batch.lease_until.is_(None))
_CANCELLED = (
    _batch.cancel_requested_at.is_not(None),
    or_(_batch.state != "U", attempts.UNCLAIMED),
)
_ANY = select(or_(*(exists().where(*kind) for kind in (_EXPIRED, _UNLEASED, _CANCELLED))))


def needed(connection: Connection) -> bool:
    """Whether `sweep` would find a row. It is cheap, so that idle launchers leave the database
    alone.
    """
    return bool(connection.scalar(_ANY))


def sweep(connection: Connection) -> list[tuple[int, int]]:
    """Give an end to what nobody looks after; returns batch_id and fence of attempts that died.

    Running batches whose lease ended go to E, to be retried at once while attempts are left; not
    those that it had to wait for, which come with the next sweep.
    Rows set to U by hand, without a lease, are given one hour. Cancels that operators requested
    by SQL of rows that no launcher runs are carried out. Rows that somebody else has locked are
    left for the next sweep, so that a sweep waits for nobody.
    """
    swept: list[tuple[int, int]] = []
    began = time.monotonic()
    for row in locked(connection, *_EXPIRED):
        # Tables that an operator had locked kept back heartbeats, too: those who live come first.
        if time.monotonic() - began > _PATIENCE_SECONDS:
            return swept
        if _give_end(connection, row, and_(unchanged(row), *_EXPIRED)):
            swept.append((row.batch_id, row.fence))
    for row in locked(connection, *_UNLEASED):
        assign(connection, unchanged(row), {"lease_until": utc_now(_ADOPTED_SECONDS)})
    for row in locked(connection, *_CANCELLED):
        if not assign(
            connection, and_(unchanged(row), or_(waits, _batch.state == "U")), cancelled()
        ):
            # It had ended before; kept, the request would cancel its next run.
            assign(connection, unchanged(row), {"cancel_requested_at": null()})
    return swept


def reap(
    connection: Connection, server: str, is_dead: Callable[[str], bool]
) -> list[tuple[int, int]]:
    """As `sweep`, for batches that run under this launcher's id and whose holder is dead, even if
    their leases still hold; `is_dead` is asked by the identity of their claim.
    """
    reaped: list[tuple[int, int]] = []
    while some := _reap_some(connection, server, is_dead):  # it may have held more than one look
        reaped += some
    return reaped


def _reap_some(
    connection: Connection, server: str, is_dead: Callable[[str], bool]
) -> list[tuple[int, int]]:
    reaped: list[tuple[int, int]] = []
    for row in locked(connection, _batch.state == "U", _batch.serve_server_id == server):
        identity = attempts.identity(connection, row.batch_id, row.fence)
        orphaned = identity is not None and is_dead(identity)
        if orphaned and _give_end(connection, row, unchanged(row)):
            reaped.append((row.batch_id, row.fence))
    return reaped


def _give_end(
    connection: Connection, row: Row[*tuple[Any, ...]], guard: ColumnElement[bool]
) -> bool:
    error_class, text = LeaseExpired.__name__, f"{row.serve_server_id} stopped renewing its lease"
    if row.cancel_requested_at is not None:
        error_class, text = Cancelled.__name__, f"cancelled; {text}"
    # The fence moves on, so that whatever still writes under the old one is refused.
    end = {"fence": _batch.fence + 1} | failed(error_class, text, 0)
    try:
        if not assign(connection, guard, end):
            return False
    except DBAPIError as error:
        if not is_out_of_range(error):
            raise
        return False  # a fence that was set by hand must not keep back the end of others
    attempts.end(connection, row.batch_id, row.fence, "E", error_class, text)
    return True
