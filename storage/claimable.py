"""Which rows of dc_batch a launcher may take, as SQL conditions. Their parameters are those of an
Offer.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    or_,
    select,
)

from storage.columns import utc_now
from storage.schema import dc_batch, dc_candidate_model_list, dc_queue, dc_server

_batch = dc_batch.c
_running = dc_batch.alias("running")
_active = dc_batch.alias("active")
PARENT = dc_batch.alias("parent")
_listed = dc_candidate_model_list.c
_free_mb = bindparam("free_mb", type_=Integer())


def waits_for_retry_of(table: FromClause) -> ColumnElement[bool]:
    """A row in E, and not for good."""
    batch = table.c
    return and_(
        batch.state == "E", batch.run_after.is_not(None), batch.attempt < batch.max_attempts
    )


waits_for_retry = waits_for_retry_of(dc_batch)

waits = or_(_batch.state == "I", waits_for_retry)
"""The row may yet be claimed, if nothing keeps it back."""


def is_open_of(table: FromClause) -> ColumnElement[bool]:
    """A row that has not come to its end."""
    return or_(table.c.state == "I", table.c.state == "U", waits_for_retry_of(table))


is_open = is_open_of(dc_batch)

retry_is_due = and_(waits_for_retry, _batch.run_after <= utc_now())

due = or_(_batch.run_after.is_(None), _batch.run_after <= utc_now())

key_is_busy = exists().where(_running.c.running_key == _batch.concurrency_key)
"""Another running batch holds the concurrency_key."""

parent_is_open = exists().where(
    PARENT.c.batch_id == _batch.train_batch_id,
    PARENT.c.batch_id != _batch.batch_id,
    is_open_of(PARENT),
)
"""The batch that this one builds on has not yet come to its end."""


def open_candidates(*what: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Of the batches (PARENT) whose models the candidate list of this one names, those that have
    not yet come to their end.
    """
    # A join in words: MariaDB writes one with a comma anew in a view that comes from a backup.
    named = PARENT.join(dc_candidate_model_list, PARENT.c.batch_id == _listed.batch_id)
    return (
        select(*what)
        .select_from(named)
        .where(
            _listed.candidate_id == _batch.candidate_id,
            PARENT.c.batch_id != _batch.batch_id,
            is_open_of(PARENT),
        )
    )


candidate_is_open = exists(open_candidates(PARENT.c.batch_id))

has_active_twin = exists().where(_active.c.active_key == _batch.dedupe_key)
"""Another waiting or running batch has the dedupe_key of this one."""

queue_is_paused = exists().where(dc_queue.c.queue == _batch.queue, dc_queue.c.paused != 0)

server_is_paused = exists().where(
    dc_server.c.serve_server_id == bindparam("server"), dc_server.c.paused != 0
)

unblocked = and_(
    _batch.cancel_requested_at.is_(None),
    ~key_is_busy,
    ~parent_is_open,
    ~candidate_is_open,
    or_(_batch.state == "I", ~has_active_twin),  # a row in I is itself the active one
)
"""No other batch is in its way."""

suits_tag = or_(_batch.need_tag.is_(None), _batch.need_tag.in_(bindparam("tags", expanding=True)))

suits_memory = or_(_free_mb.is_(None), _batch.need_mem_mb.is_(None), _batch.need_mem_mb <= _free_mb)

suits = and_(suits_tag, suits_memory)
"""The launcher has what the batch needs."""

offered = and_(~queue_is_paused, ~server_is_paused, suits, unblocked)
"""Nothing keeps the launcher from a row of its queues whose time has come."""
