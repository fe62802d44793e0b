"""What v_batch says of a batch in words: its state, what it waits for, its last error."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, literal, null, or_, select

from configs.errors import Cancelled
from storage.claimable import (
    PARENT,
    candidate_is_open,
    has_active_twin,
    key_is_busy,
    open_candidates,
    parent_is_open,
    queue_is_paused,
    waits,
    waits_for_retry_of,
)
from storage.columns import utc_now
from storage.schema import dc_batch
from storage.serving import missing_launcher

_batch = dc_batch.c
_holder = dc_batch.alias("holder")


def status(table: FromClause) -> ColumnElement[str]:
    """The state of a batch as an operator would say it."""
    batch = table.c
    cancel = and_(batch.cancel_requested_at.is_not(None), batch.state.in_(("I", "U")))
    return case(
        (cancel, "being cancelled"),
        (batch.state == "I", "waiting"),
        (and_(batch.state == "U", batch.lease_until < utc_now()), "running, but not heard of"),
        (batch.state == "U", "running"),
        (batch.state == "C", "completed"),
        (waits_for_retry_of(table), "waiting for a retry"),
        (batch.error_class == Cancelled.__name__, "cancelled"),
        else_="failed",
    )


def _sentence(*parts: str | ColumnElement[Any]) -> ColumnElement[str]:
    whole: ColumnElement[str] = literal("")
    for part in parts:
        whole = whole.concat(part)
    return whole


def waits_for() -> ColumnElement[str]:
    """Why a batch does not run; NULL for one that runs or has ended."""
    parent_state = select(status(PARENT)).where(PARENT.c.batch_id == _batch.train_batch_id)
    twin_waits = and_(_batch.state == "E", has_active_twin)
    holder = select(_holder.c.batch_id).where(_holder.c.running_key == _batch.concurrency_key)
    return case(
        (~waits, null()),
        (
            parent_is_open,
            _sentence(
                "batch ", _batch.train_batch_id, ", which is ", parent_state.scalar_subquery()
            ),
        ),
        (
            candidate_is_open,
            _sentence(
                "batch ",
                _first_candidate(PARENT.c.batch_id),
                " of candidate list ",
                _batch.candidate_id,
                ", which is ",
                _first_candidate(status(PARENT)),
            ),
        ),
        (queue_is_paused, _sentence("queue ", _batch.queue, ", which is paused")),
        (_batch.run_after > utc_now(), _sentence("its time, ", _batch.run_after, " UTC")),
        (
            key_is_busy,
            _sentence(
                "concurrency_key ",
                _batch.concurrency_key,
                ", which batch ",
                holder.scalar_subquery(),
                " holds",
            ),
        ),
        (twin_waits, _sentence("its turn: another batch has dedupe_key ", _batch.dedupe_key)),
        else_=missing_launcher(_suitable_server()),
    )


def _first_candidate(what: ColumnElement[Any]) -> ColumnElement[Any]:
    return open_candidates(what).order_by(PARENT.c.batch_id).limit(1).scalar_subquery()


def _suitable_server() -> ColumnElement[str]:
    """All that a batch asks of a server: whichever is left out may be the one that is missing."""
    tag, memory = _batch.need_tag.is_not(None), _batch.need_mem_mb.is_not(None)
    return _sentence(
        "a free server",
        case((tag, _sentence(" with tag ", _batch.need_tag)), else_=""),
        case((and_(tag, memory), ","), else_=""),
        case((memory, _sentence(" with ", _batch.need_mem_mb, " MB of memory")), else_=""),
        case(
            (_batch.queue == "default", ""),
            (or_(tag, memory), _sentence(", that serves queue ", _batch.queue)),
            else_=_sentence(" that serves queue ", _batch.queue),
        ),
    )


def current(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """NULL while it waits: a row set to I by hand keeps what its last run said until the next."""
    return case((_batch.state != "I", column))


def last_error() -> ColumnElement[str]:
    """NULL unless it has failed: one set to I by hand keeps the columns until it is claimed."""
    said = _sentence(_batch.error_class, ": ", func.coalesce(_batch.error_text, ""))
    return case((_batch.state == "E", said))


def dataset_name(
    group: ColumnElement[Any] = _batch.dataset_group,
    version: ColumnElement[Any] = _batch.dataset_version,
) -> ColumnElement[str]:
    return _sentence(group, "/", version)
