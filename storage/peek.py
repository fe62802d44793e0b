"""Is there anything to do? Cheap questions, so that idle launchers leave the database alone.

A claim or a sweep opens a transaction and takes locks; these do neither.
"""

from sqlalchemy import ColumnElement, Connection, bindparam, exists, or_, select

from storage.claimable import due, offered, retry_is_due
from storage.columns import utc_now
from storage.records import Offer
from storage.schema import dc_batch

_batch = dc_batch.c
_in_queues = _batch.queue.in_(bindparam("queues", expanding=True))
_WAITING = exists().where(_batch.state == "I", due, _in_queues, offered)
_RETRIES = exists().where(retry_is_due, _in_queues, offered)
_RUNNING = exists().where(_batch.state == "U", _in_queues)


def claimable(connection: Connection, offer: Offer) -> bool:
    """Whether `claims.claim` of the same offer would find a row, as far as one can see without
    locking it: another launcher may be faster.
    """
    return _any(connection, offer, _WAITING, _RETRIES)


def pending(connection: Connection, offer: Offer) -> bool:
    """Whether something of its queues runs, on any server, or could be claimed now.

    A launcher that drains goes home when this is False: retries in 20 minutes and batches that
    other servers must take do not keep it.
    """
    return _any(connection, offer, _RUNNING, _WAITING, _RETRIES)


def _any(connection: Connection, offer: Offer, *kinds: ColumnElement[bool]) -> bool:
    # One statement: what ends between two would let a batch that builds on it go unseen.
    asked = offer.parameters | {"queues": offer.queues}
    return bool(connection.scalar(select(or_(*kinds)), asked))


def lost(connection: Connection) -> bool:
    """Whether `sweeping.sweep` would find a row."""
    running = _batch.state == "U"
    kinds = (
        exists().where(running, _batch.lease_until < utc_now()),
        exists().where(running, _batch.lease_until.is_(None)),
        exists().where(_batch.cancel_requested_at.is_not(None), _batch.state != "U"),
    )
    return bool(connection.scalar(select(or_(*kinds))))
