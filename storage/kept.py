"""What waits, by what keeps it from being run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, Select, case, cast, func, literal, select

from storage.claimable import is_wanted
from storage.obstacles import OTHERS, Name, Obstacle, words_of
from storage.offers import Offer
from storage.records import Record
from storage.schema import dc_batch

_NEEDS = ("queue", "need_tag", "need_mem_mb")

_batch = dc_batch.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept(Record):
    """Waiting batches that one thing keeps back; `reason` None: nothing does. `queue`, `need_tag`,
    `need_mem_mb`: theirs, None where the reason has nothing to do with it. `batch_id`: the first of
    them. `run_after`: the earliest of them.
    """

    reason: Name | None
    queue: str | None
    need_tag: str | None
    need_mem_mb: int | None
    n: int
    batch_id: int
    run_after: datetime | None


def kept(
    connection: Connection, obstacles: Sequence[Obstacle], offer: Offer | None = None
) -> list[Kept]:
    """The waiting batches, grouped by the first of these obstacles that keeps them; the groups in
    the order of their first batches. `offer`: that of the launcher, where some are its obstacles.
    """
    judged = _judged(obstacles).subquery().c
    names = {column: [each.name for each in obstacles if column in each.by] for column in _NEEDS}
    by = [
        case((judged.reason.in_(those), judged[column])).label(column)
        for column, those in names.items()
    ]
    first = func.min(judged.batch_id).label("batch_id")
    query = (
        select(
            judged.reason,
            *by,
            cast(func.sum(judged.n), Integer).label("n"),  # of MariaDB a sum is a DECIMAL
            first,
            func.min(judged.run_after).label("run_after"),
        )
        .group_by(judged.reason, *by)
        .order_by(first)
    )
    rows = connection.execute(query, offer.parameters if offer else {})
    return [Kept.from_row(row) for row in rows]


def _judged(obstacles: Sequence[Obstacle]) -> Select[*tuple[Any, ...]]:
    """The first obstacle to each waiting batch. Batches that these obstacles cannot tell apart are
    one row: the number of the first, and `n`, how many they are.

    To judge each by itself would take seconds on SQLite, where nobody serves a long queue.
    """
    reason = case(*((each.there, each.name) for each in obstacles)).label("reason")
    by = sorted({name for each in obstacles for name in each.by})
    if "batch_id" in by:
        judged = (_batch[name] for name in ("batch_id", *_NEEDS, "run_after"))
        return select(reason, *judged, literal(1).label("n")).where(is_wanted)
    alike = (
        select(
            func.min(_batch.batch_id).label("batch_id"),
            func.min(_batch.run_after).label("run_after"),
            func.count().label("n"),
        )
        .where(is_wanted)
        .group_by(*(_batch[name] for name in by))
        .subquery()
    )
    return select(reason, alike, *(_batch[name] for name in _NEEDS)).select_from(
        dc_batch.join(alike, alike.c.batch_id == _batch.batch_id)
    )


def by_others(connection: Connection, batch_id: int) -> str | None:
    """For which other batch this one waits, in words as those of v_batch; None: for none."""
    words: str | None = connection.scalar(
        select(words_of(OTHERS)).where(_batch.batch_id == batch_id)
    )
    return words
