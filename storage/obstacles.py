"""What keeps a batch that waits from being run. Each obstacle is written once: the claim goes by
its condition, v_batch by its words, and by its name whoever says what to do about it.

Here are those that other batches and operators put up; those of all launchers together are in
fleet.py, those of one launcher in offers.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, Select, and_, case, cast, exists, func, select

from storage.claimable import is_open_of
from storage.columns import seconds_between, utc_now
from storage.in_words import named, sentence, status
from storage.schema import dc_batch, dc_candidate_model_list, dc_queue

Name = Literal[
    "other batch",
    "time",
    "paused queue",
    "no launcher",
    "queue unserved",
    "tag unserved",
    "too little memory",
    "all paused",
    "none taken",
    "queue unserved here",
    "paused here",
    "no tag here",
    "no memory here",
]

_HOUR, _DAY = 3600, 86_400  # in seconds

_batch = dc_batch.c
_listed = dc_candidate_model_list.c
_parent = dc_batch.alias("parent")
_running = dc_batch.alias("running")
_active = dc_batch.alias("active")
_holder = dc_batch.alias("holder")


@dataclass(frozen=True, slots=True, eq=False)
class Obstacle:
    """What may keep a waiting row of dc_batch from being run.

    `there`: whether it does; never NULL, as it is also negated. `words`: what the row then waits
    for, where v_batch can tell. `by`: the columns that decide whether it is there and what to do
    about it, so that rows with the same values are judged once; by default each row is judged.
    """

    name: Name
    there: ColumnElement[bool]
    words: ColumnElement[str] | None = None
    by: tuple[str, ...] = ("batch_id",)


def none_of(obstacles: Sequence[Obstacle]) -> ColumnElement[bool]:
    return and_(*(~each.there for each in obstacles))


def words_of(
    obstacles: Sequence[Obstacle], otherwise: ColumnElement[Any] | None = None
) -> ColumnElement[Any]:
    """The words of the first one that is there."""
    return case(*((each.there, each.words) for each in obstacles), else_=otherwise)


# Other batches: they pass by themselves.


def _of_candidates(*what: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """The batches that have not ended yet, among those whose models the candidate list of this
    one names.
    """
    # A join in words: MariaDB writes one with a comma anew in a view that comes from a backup.
    named = _parent.join(dc_candidate_model_list, _parent.c.batch_id == _listed.batch_id)
    return (
        select(*what)
        .select_from(named)
        .where(
            _listed.candidate_id == _batch.candidate_id,
            _parent.c.batch_id != _batch.batch_id,
            is_open_of(_parent),
        )
    )


def _first_candidate(what: ColumnElement[Any]) -> ColumnElement[Any]:
    return _of_candidates(what).order_by(_parent.c.batch_id).limit(1).scalar_subquery()


_parent_status = select(status(_parent)).where(_parent.c.batch_id == _batch.train_batch_id)
_key_holder = select(_holder.c.batch_id).where(_holder.c.running_key == _batch.concurrency_key)

PARENT = Obstacle(
    "other batch",
    exists().where(
        _parent.c.batch_id == _batch.train_batch_id,
        _parent.c.batch_id != _batch.batch_id,
        is_open_of(_parent),
    ),
    sentence("batch ", _batch.train_batch_id, ", which is ", _parent_status.scalar_subquery()),
)
CANDIDATE = Obstacle(
    "other batch",
    exists(_of_candidates(_parent.c.batch_id)),
    sentence(
        "batch ",
        _first_candidate(_parent.c.batch_id),
        " of candidate list ",
        _batch.candidate_id,
        ", which is ",
        _first_candidate(status(_parent)),
    ),
)
KEY = Obstacle(
    "other batch",
    exists().where(_running.c.running_key == _batch.concurrency_key),
    sentence(
        "concurrency_key ",
        named(_batch.concurrency_key),
        ", which batch ",
        _key_holder.scalar_subquery(),
        " holds",
    ),
)
TWIN = Obstacle(
    "other batch",
    # A row in I is itself the active one.
    and_(_batch.state == "E", exists().where(_active.c.active_key == _batch.dedupe_key)),
    sentence("its turn: another batch has dedupe_key ", named(_batch.dedupe_key)),
)
OTHERS = (KEY, PARENT, CANDIDATE, TWIN)

# What an operator said of the batch or its queue.

# How far off it is, so that whoever meant another zone than UTC sees it. In steps of an hour:
# people who wait for a batch are shown these words again whenever they change.
_seconds = seconds_between(utc_now(), _batch.run_after)


def _whole(unit: int) -> ColumnElement[int]:
    """The nearest whole number. A cast, as on SQLite || binds closer than a division."""
    return cast((_seconds + unit // 2) // unit, Integer)


_off = case(
    (_seconds.is_(None), ""),  # on SQLite it may be no time at all
    (_seconds < _HOUR, ", within the hour"),
    (_seconds < 2 * _DAY, sentence(", in ", _whole(_HOUR), " h")),
    else_=sentence(", in ", _whole(_DAY), " d"),
)
TIME = Obstacle(
    "time",
    and_(_batch.run_after.is_not(None), _batch.run_after > utc_now()),
    sentence("its time, ", func.substr(_batch.run_after, 1, len("2026-08-01 20:00")), " UTC", _off),
)
PAUSED_QUEUE = Obstacle(
    "paused queue",
    exists().where(dc_queue.c.queue == _batch.queue, dc_queue.c.paused != 0),
    sentence("queue ", _batch.queue, ", which is paused"),
    by=("queue",),
)

unblocked = and_(_batch.cancel_requested_at.is_(None), none_of(OTHERS))
"""No other batch is in its way."""
