"""Which rows of dc_batch a launcher may take, as SQL conditions and the queries of a claim.

The parameters of the queries are what a launcher offers: `server`, `queue`, `tags` (a list) and
`free_mb` (None: memory is not looked at).
"""

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, exists, or_, select

from storage.columns import utc_now
from storage.schema import dc_batch, dc_queue, dc_server

_batch = dc_batch.c
_running = dc_batch.alias("running")
_active = dc_batch.alias("active")
_parent = dc_batch.alias("parent")
_free_mb = bindparam("free_mb", type_=Integer())

waits_for_retry = and_(
    _batch.state == "E", _batch.run_after.is_not(None), _batch.attempt < _batch.max_attempts
)
"""In E, and not for good."""

due = or_(_batch.run_after.is_(None), _batch.run_after <= utc_now())

key_is_busy = exists().where(_running.c.running_key == _batch.concurrency_key)
"""Another running batch holds the concurrency_key."""

parent_is_open = exists().where(
    _parent.c.batch_id == _batch.train_batch_id,
    _parent.c.batch_id != _batch.batch_id,
    or_(
        _parent.c.state == "I",
        _parent.c.state == "U",
        and_(
            _parent.c.state == "E",
            _parent.c.run_after.is_not(None),
            _parent.c.attempt < _parent.c.max_attempts,
        ),
    ),
)
"""The batch that this one builds on has not yet come to its end."""

has_active_twin = exists().where(_active.c.active_key == _batch.dedupe_key)
"""Another waiting or running batch has the dedupe_key of this one."""

queue_is_paused = exists().where(dc_queue.c.queue == _batch.queue, dc_queue.c.paused != 0)

server_is_paused = exists().where(
    dc_server.c.serve_server_id == bindparam("server"), dc_server.c.paused != 0
)

unblocked = and_(_batch.cancel_requested_at.is_(None), ~key_is_busy, ~parent_is_open)

suits = and_(
    or_(_batch.need_tag.is_(None), _batch.need_tag.in_(bindparam("tags", expanding=True))),
    or_(_free_mb.is_(None), _batch.need_mem_mb.is_(None), _batch.need_mem_mb <= _free_mb),
)
"""The launcher has what the batch needs."""


def _locking(*conditions: ColumnElement[bool]) -> Select[int, int, str]:
    chosen = select(_batch.batch_id, _batch.fence, _batch.state).where(*conditions)
    return chosen.limit(1).with_for_update(skip_locked=True)


_of_queue = (_batch.queue == bindparam("queue"), ~queue_is_paused, ~server_is_paused)

# One query for each state and queue: an OR over states, or IN over queues, would lose the order
# that the index gives, and a query that sorts locks every row it sorts.
NEXT_WAITING = _locking(_batch.state == "I", *_of_queue, due, suits, unblocked).order_by(
    _batch.priority, _batch.batch_id
)
"""The first row in I, locked; rows that others have locked are passed over."""

NEXT_RETRY = _locking(
    _batch.state == "E",
    _batch.run_after <= utc_now(),
    _batch.attempt < _batch.max_attempts,
    *_of_queue,
    suits,
    unblocked,
    ~has_active_twin,
).order_by(_batch.run_after, _batch.batch_id)
"""The same of the rows in E whose time has come."""

THIS_ONE = _locking(
    _batch.batch_id == bindparam("batch_id"),
    or_(_batch.state == "I", and_(waits_for_retry, ~has_active_twin)),
    unblocked,
)
"""The row that a person asked for here: its queue, its time and its needs do not matter."""
