"""Is there anything to do? Cheap questions, so that idle launchers leave the database alone.

A claim or a sweep opens a transaction and takes locks; these do neither.
"""

from sqlalchemy import Connection, exists, or_, select

from storage.claimable import (
    due,
    queue_is_paused,
    retry_is_due,
    server_is_paused,
    suits,
    unblocked,
)
from storage.columns import utc_now
from storage.records import Offer
from storage.schema import dc_batch

_batch = dc_batch.c


def claimable(connection: Connection, offer: Offer) -> bool:
    """Whether `claims.claim` of the same offer would find a row, as far as one can see without
    locking it: another launcher may be faster.
    """
    mine = (_batch.queue.in_(offer.queues), ~queue_is_paused, ~server_is_paused, suits, unblocked)
    waiting = exists().where(_batch.state == "I", due, *mine)
    retries = exists().where(retry_is_due, *mine)
    return bool(connection.scalar(select(or_(waiting, retries)), offer.parameters))


def lost(connection: Connection) -> bool:
    """Whether `sweeping.sweep` would find a row."""
    running = _batch.state == "U"
    kinds = (
        exists().where(running, _batch.lease_until < utc_now()),
        exists().where(running, _batch.lease_until.is_(None)),
        exists().where(_batch.cancel_requested_at.is_not(None), _batch.state != "U"),
    )
    return bool(connection.scalar(select(or_(*kinds))))
