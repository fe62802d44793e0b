"""What waits, by what keeps it from being run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, func, select

from storage.claimable import is_wanted
from storage.obstacles import OTHERS, Name, Obstacle, words_of
from storage.records import Offer, Record
from storage.schema import dc_batch

_NEEDS = ("queue", "need_tag", "need_mem_mb")

_batch = dc_batch.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept(Record):
    """Waiting batches that one thing keeps back; `reason` None: nothing does. `queue`, `need_tag`,
    `need_mem_mb`: theirs, where it matters; `batch_id`: the first of them; `run_after`: the first
    time that comes.
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
    """What waits, by the first of these obstacles that is there; the first batches first. `offer`:
    of the launcher whose obstacles are among them.
    """
    reason = case(*((each.there, each.name) for each in obstacles))
    read = (_batch[name] for name in ("batch_id", *_NEEDS, "run_after"))
    waiting = select(reason.label("reason"), *read).where(is_wanted).subquery().c
    names = {column: [each.name for each in obstacles if column in each.by] for column in _NEEDS}
    by = [
        case((waiting.reason.in_(those), waiting[column])).label(column)
        for column, those in names.items()
    ]
    first = func.min(waiting.batch_id).label("batch_id")
    query = (
        select(
            waiting.reason,
            *by,
            func.count().label("n"),
            first,
            func.min(waiting.run_after).label("run_after"),
        )
        .group_by(waiting.reason, *by)
        .order_by(first)
    )
    rows = connection.execute(query, offer.parameters if offer else {}).mappings()
    return [Kept.from_row(row) for row in rows]


def by_others(connection: Connection, batch_id: int) -> str | None:
    """For which other batch this one waits, in words as those of v_batch; None: for none."""
    words: str | None = connection.scalar(
        select(words_of(OTHERS)).where(_batch.batch_id == batch_id)
    )
    return words
