"""Taking a row of dc_batch: which come into question, and the one UPDATE that makes it ours.

Candidates are read without locks; then one of them is locked, and taken if it is still as it was
read. docs/decisions/0007-claims.md says why.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.batches import COLUMNS
from storage.claimable import retry_is_due, waits
from storage.driver_errors import is_locked, is_out_of_range
from storage.engine import not_waiting
from storage.obstacles import unblocked
from storage.offers import Offer, offered
from storage.records import Batch
from storage.schema import dc_batch
from storage.transitions import TAKEN, assignment

_FEW = 8  # more launchers than this rarely reach for the same rows at once
_PATIENCE = 100  # rows to try in vain before the next poll

_PRIORITY = attrgetter("priority")

_batch = dc_batch.c
Seen = Row[*tuple[Any, ...]]

# Statements are written once: to put them together takes longer than to execute them. Those that
# look for rows ask for the parameters of an Offer; `queue`, one of its queues; `passed`, numbers of
# rows that were tried in vain.
_SEEN = select(
    _batch.batch_id,
    _batch.state,
    _batch.fence,
    _batch.priority,
    or_(_batch.concurrency_key.is_not(None), _batch.dedupe_key.is_not(None)).label("has_key"),
)

_passed = _batch.batch_id.in_(bindparam("passed", expanding=True))


def _first(
    index: str, condition: ColumnElement[bool], *order: ColumnElement[Any]
) -> Select[*tuple[Any, ...]]:
    here = (_batch.queue == bindparam("queue"), ~_passed, offered)
    few = _SEEN.where(condition, *here).order_by(*order).limit(_FEW)
    # MariaDB would rather read and sort the whole of a small table.
    return few.with_hint(dc_batch, f"FORCE INDEX ({index})", "mariadb")


WAITING = _first("k_claim", _batch.state == "I", _batch.priority, _batch.batch_id)
"""The first few rows of a queue that wait and may be taken, first come. A plain read, no locks.

A locking read would hold every row that it passes over, needs unmet, until the claim commits:
MariaDB gives such locks back on a scan of the primary key, but not of another index.
"""

# A query by itself: one of both states would lose the order that the index gives.
RETRIES = _first("k_retry", retry_is_due, _batch.run_after, _batch.batch_id)
"""Likewise rows whose retry is due, in the order in which they are."""

THIS_ONE = _SEEN.where(_batch.batch_id == bindparam("batch_id"), waits, unblocked)
"""The row that a person asked for here: its queue, its time and its needs do not matter."""

_ANY_WAITING = exists().where(_batch.state == "I", offered)
_ANY_RETRY = exists().where(retry_is_due, offered)
_ANY_RUNNING = exists().where(
    _batch.state == "U", _batch.queue.in_(bindparam("queues", expanding=True))
)

_RUNNING = (
    select(_batch.batch_id)
    .where(_batch.state == "U", _batch.queue.in_(bindparam("queues", expanding=True)))
    .order_by(_batch.batch_id)
    .limit(_FEW)
)

_MAY_BE_TAKEN = (
    _batch.state == bindparam("the_state"),
    waits,
    _batch.cancel_requested_at.is_(None),
)
# A row that is held is not waited for. In a scan MariaDB gives back the lock of a row that does
# not suit, in a look-up by one number it does not, and the row's owner would wait for our end.
_LOCK = (
    select(_batch.batch_id)
    .where(_batch.batch_id.in_(bindparam("few", expanding=True)), *_MAY_BE_TAKEN)
    .order_by(_batch.batch_id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .with_hint(dc_batch, "FORCE INDEX (PRIMARY)", "mariadb")
)
_NOBODY = -(2**20)  # beside one number it makes a scan of a look-up; batches 0 and -1 there may be
_TAKE = assignment(
    and_(
        _batch.batch_id == bindparam("the_batch"),
        _batch.fence == bindparam("the_fence"),
        *_MAY_BE_TAKEN,
    ),
    TAKEN,
)
_READ = select(*COLUMNS).where(
    _batch.batch_id == bindparam("the_batch"), _batch.claim_id == bindparam("new_claim")
)


def claimable(connection: Connection, offer: Offer) -> bool:
    """Whether `claims.claim` of the same offer would find a row, as far as one can see without
    locking it: another launcher may be faster. It is cheap, so that idle launchers leave the
    database alone: a claim opens a transaction and takes locks.
    """
    return _any(connection, offer, _ANY_WAITING, _ANY_RETRY)


def pending(connection: Connection, offer: Offer) -> bool:
    """Whether something of its queues runs, on any server, or could be claimed now.

    A launcher that drains goes home when this is False: retries in 20 minutes and batches that
    other servers must take do not keep it.
    """
    return _any(connection, offer, _ANY_RUNNING, _ANY_WAITING, _ANY_RETRY)


def running(connection: Connection, offer: Offer) -> list[int]:
    """A few of the batches of its queues that run, on any server."""
    return [*connection.scalars(_RUNNING, {"queues": offer.queues})]


def candidates(
    connection: Connection, offer: Offer, batch_id: int | None
) -> Iterator[Sequence[Seen]]:
    """A few rows of one state at a time, of which the least number comes first."""
    if batch_id is not None:
        yield connection.execute(THIS_ONE, {"batch_id": batch_id}).all()
        return
    for queue in offer.queues:
        asked = offer.parameters | {"queue": queue}
        for few in _pages(connection, WAITING, asked):
            for _, rows in groupby(few, _PRIORITY):
                yield list(rows)
        for few in _pages(connection, RETRIES, asked):
            yield from ([row] for row in few)


def _any(connection: Connection, offer: Offer, *kinds: ColumnElement[bool]) -> bool:
    # One statement: what ends between two would let a batch that builds on it go unseen.
    return bool(connection.scalar(select(or_(*kinds)), offer.parameters))


def _pages(
    connection: Connection, query: Executable, asked: dict[str, Any]
) -> Iterator[Sequence[Seen]]:
    passed: list[int] = []  # taken by others meanwhile, or locked by who knows whom
    while len(passed) < _PATIENCE:
        rows = connection.execute(query, asked | {"passed": passed}).all()
        if not rows:
            break
        yield rows
        passed += [row.batch_id for row in rows]


def take_one(
    connection: Connection, rows: Sequence[Seen], server: str, lease_seconds: float
) -> Batch | None:
    """None: others were faster with all of them, or took batches with the same concurrency_key."""
    left = {row.batch_id: row for row in rows}
    while left:
        few = {"few": [_NOBODY, *left], "the_state": rows[0].state}
        locked = connection.scalar(_LOCK, few)
        if locked is None:
            return None
        if batch := _take(connection, left.pop(locked), server, lease_seconds):
            return batch
    return None


def _take(connection: Connection, row: Seen, server: str, lease_seconds: float) -> Batch | None:
    """None: it changed since it was seen, or one of its keys is busy.

    A key is an entry of a unique index, and no lock clause passes over one that another transaction
    is about to write: a launcher frozen in the middle of its claim would hold up all others.
    """
    seen = {"the_batch": row.batch_id, "the_state": row.state, "the_fence": row.fence}
    new = {"new_claim": uuid4().hex, "server": server, "lease_seconds": lease_seconds}
    try:
        with not_waiting(connection) if row.has_key else nullcontext():
            if connection.execute(_TAKE, seen | new).rowcount != 1:
                return None
    except IntegrityError:
        return None
    except DBAPIError as error:
        if not (is_locked(error) or is_out_of_range(error)):
            raise
        return None
    return Batch.from_row(connection.execute(_READ, seen | new).one())
