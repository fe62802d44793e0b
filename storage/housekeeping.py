"""Removing what has been done for long, in transactions so small that nobody waits for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    union,
)

from storage.claimable import is_open_of
from storage.columns import utc_now
from storage.schema import (
    LEFT_BY_BATCHES,
    dc_batch,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_ensemble_model,
    dc_model,
    dc_score_band,
)

AT_ONCE = 500
"""Batches a transaction."""

PRUNE_ROWS = 10_000
"""Rows of ranked ensembles and of score bands a transaction; one batch may have millions."""

_batch = dc_batch.c
_child = dc_batch.alias("child")
_rank = dc_batch_result_t4.c
_band = dc_score_band.c
_count_bands = select(func.count()).where(_band.batch_id == bindparam("of"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Old:
    """Batches completed before a moment: those that `prune` would remove, and those that stay
    because something refers to them.
    """

    removable: int
    needed: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """What one transaction has removed. `after` is where the next one goes on; None: the end."""

    batches: int
    after: int | None


def old(connection: Connection, seconds: float) -> Old:
    """Count what was completed so many seconds ago or earlier; one reading of those rows."""
    where = _completed_before(seconds)
    row = connection.execute(
        select(
            func.count().label("removable"),
            func.min(_batch.batch_id).label("first"),
            func.max(_batch.batch_id).label("last"),
        ).where(where, ~_needed(seconds))
    ).one()
    everything = connection.scalar(select(func.count()).select_from(dc_batch).where(where)) or 0
    return Old(
        removable=row.removable,
        needed=everything - row.removable,
        first=row.first,
        last=row.last,
    )


def prune(
    connection: Connection,
    seconds: float,
    *,
    after: int = 0,
    at_once: int = AT_ONCE,
    rows_at_once: int = PRUNE_ROWS,
) -> Pruned:
    """Remove some batches that were completed so many seconds ago or earlier, with all that they
    left; to be called, each time in a transaction of its own, until `after` is None.

    A batch stays that has trained models, that a candidate list or an ensemble draws from, or on
    which a batch builds that has not ended or ended later than that. Ranked ensembles of a batch
    with many of them go first, in several transactions, before the batch itself.
    """
    wanted = and_(_completed_before(seconds), ~_needed(seconds))
    found = connection.scalars(
        select(_batch.batch_id)
        .where(_batch.batch_id > after, wanted)
        .order_by(_batch.batch_id)
        .limit(at_once)
    ).all()
    if not found:
        return Pruned(batches=0, after=None)
    # Somebody who sets one to I again at this moment is faster, or waits until it is gone.
    ours = connection.scalars(
        select(_batch.batch_id)
        .where(_batch.batch_id.in_(found), _completed_before(seconds))
        .order_by(_batch.batch_id)
        .with_for_update(skip_locked=True)
    ).all()
    gone = _within(connection, ours, rows_at_once)
    for table in (*LEFT_BY_BATCHES, dc_batch):
        connection.execute(table.delete().where(table.c.batch_id.in_(gone)))
    if len(gone) < len(ours):
        return Pruned(batches=len(gone), after=gone[-1] if gone else after)
    return Pruned(batches=len(gone), after=found[-1])


def prune_deserted(
    connection: Connection,
    *,
    after: int = 0,
    at_once: int = AT_ONCE,
    rows_at_once: int = PRUNE_ROWS,
) -> Pruned:
    """Remove what batches left whose row an operator has deleted; to be called like `prune`.

    What a candidate list, an ensemble or a batch that is not at its end draws from stays.
    """
    found = connection.scalars(
        union(*(_deserted(table, after) for table in LEFT_BY_BATCHES))
        .order_by("batch_id")
        .limit(at_once)
    ).all()
    if not found:
        return Pruned(batches=0, after=None)
    gone = _within(connection, found, rows_at_once)
    for table in LEFT_BY_BATCHES:
        connection.execute(table.delete().where(table.c.batch_id.in_(gone)))
    return Pruned(batches=len(gone), after=gone[-1] if gone else after)


def _deserted(table: Table, after: int) -> Select[int]:
    row = table.c.batch_id
    needed = or_(
        exists().where(dc_candidate_model_list.c.batch_id == row),
        exists().where(
            dc_ensemble_model.c.model_batch_id == row,
            exists().where(_child.c.batch_id == dc_ensemble_model.c.batch_id),
        ),
        exists().where(_child.c.train_batch_id == row, is_open_of(_child)),
    )
    there = exists().where(_batch.batch_id == row)
    return select(row).where(row > after, ~there, ~needed).distinct()


def _completed_before(seconds: float) -> ColumnElement[bool]:
    return and_(_batch.state == "C", _batch.work_end_date < utc_now(-seconds))


def _needed(seconds: float) -> ColumnElement[bool]:
    """Something that stays refers to the batch."""
    return or_(
        exists().where(dc_model.c.batch_id == _batch.batch_id),
        exists().where(dc_candidate_model_list.c.batch_id == _batch.batch_id),
        exists().where(dc_ensemble_model.c.model_batch_id == _batch.batch_id),
        exists().where(
            _child.c.train_batch_id == _batch.batch_id,
            or_(is_open_of(_child), _child.c.work_end_date >= utc_now(-seconds)),
        ),
    )


def _within(connection: Connection, ours: Sequence[int], rows: int) -> list[int]:
    """Delete ranked ensembles, at most `rows` rows; return the batches that have none left, as far
    as it came. Their score bands, which go with a batch, count as rows, too.
    """
    ranked, banded = (
        set(connection.scalars(select(key).where(key.in_(ours)).distinct()))
        for key in (_rank.batch_id, _band.batch_id)
    )
    gone: list[int] = []
    for batch_id in ours:
        if batch_id in ranked and rows > 0:
            rows -= delete_ensembles(connection, batch_id, rows)
        if rows <= 0:
            break
        gone.append(batch_id)
        if batch_id in banded:
            rows -= connection.scalar(_count_bands, {"of": batch_id}) or 0
    return gone


def delete_ensembles(connection: Connection, batch_id: int, rows: int) -> int:
    """Delete the first `rows` rows by number, and the last one's other split; returns how many.

    To be called in transactions of its own until it returns 0: one for all would last minutes.
    """
    some = (
        select(_rank.ensemble_no)
        .where(_rank.batch_id == batch_id)
        .order_by(_rank.ensemble_no)
        .limit(rows)
        .subquery()
    )
    last = connection.scalar(select(func.max(some.c.ensemble_no)))
    if last is None:
        return 0
    return connection.execute(
        dc_batch_result_t4.delete().where(_rank.batch_id == batch_id, _rank.ensemble_no <= last)
    ).rowcount
