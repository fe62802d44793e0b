"""Is there anything to claim? One cheap question, so that idle launchers leave the database alone.

A claim opens a transaction and takes locks; this does neither.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, exists, or_, select

from storage.claimable import (
    due,
    has_active_twin,
    queue_is_paused,
    server_is_paused,
    suits,
    unblocked,
)
from storage.columns import utc_now
from storage.schema import dc_batch

_batch = dc_batch.c


def anything(
    connection: Connection,
    *,
    server: str,
    queues: Sequence[str] = ("default",),
    tags: Sequence[str] = (),
    free_mb: int | None = None,
) -> bool:
    """Whether `claims.claim` of the same offer would find a row, as far as one can see without
    locking it: another launcher may be faster.
    """
    mine = (_batch.queue.in_(list(queues)), ~queue_is_paused, ~server_is_paused, suits, unblocked)
    waiting = exists().where(_batch.state == "I", due, *mine)
    retries = exists().where(
        _batch.state == "E",
        _batch.run_after <= utc_now(),
        _batch.attempt < _batch.max_attempts,
        ~has_active_twin,
        *mine,
    )
    offer = {"server": server, "tags": list(tags), "free_mb": free_mb}
    return bool(connection.scalar(select(or_(waiting, retries)), offer))
