"""What keeps a batch that waits from being run. Each obstacle is written once: the claim goes by
its condition, v_batch by its words, and by its name whoever says what to do about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
)

from storage.claimable import is_open_of, is_wanted
from storage.columns import utc_now
from storage.in_words import sentence, status
from storage.schema import dc_batch, dc_candidate_model_list, dc_queue, dc_server
from storage.servers import AT_WORK

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

_batch = dc_batch.c
_server = dc_server.c
_listed = dc_candidate_model_list.c
_parent = dc_batch.alias("parent")
_running = dc_batch.alias("running")
_active = dc_batch.alias("active")
_holder = dc_batch.alias("holder")


@dataclass(frozen=True, slots=True, eq=False)
class Obstacle:
    """`there`: it stands before this row of dc_batch; never NULL, for what is negated may not be.
    `words`: what the row then waits for, where v_batch can tell. `by`: the columns by which one
    knows whether it is there, and what to do about it; by default those of no two rows are alike.
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
    """Of the batches whose models the candidate list of this one names, those that have not yet
    come to their end.
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
        _batch.concurrency_key,
        ", which batch ",
        _key_holder.scalar_subquery(),
        " holds",
    ),
)
TWIN = Obstacle(
    "other batch",
    # A row in I is itself the active one.
    and_(_batch.state == "E", exists().where(_active.c.active_key == _batch.dedupe_key)),
    sentence("its turn: another batch has dedupe_key ", _batch.dedupe_key),
)
OTHERS = (KEY, PARENT, CANDIDATE, TWIN)

# What an operator said of the batch or its queue.

TIME = Obstacle(
    "time",
    and_(_batch.run_after.is_not(None), _batch.run_after > utc_now()),
    sentence("its time, ", _batch.run_after, " UTC"),
)
PAUSED_QUEUE = Obstacle(
    "paused queue",
    exists().where(dc_queue.c.queue == _batch.queue, dc_queue.c.paused != 0),
    sentence("queue ", _batch.queue, ", which is paused"),
    by=("queue",),
)

# Launchers, as dc_server knows them: a person must do something, as a rule start or resume one for
# the queue and the tag. What memory is free is for themselves to know; here counts what there is.


def _lists(names: ColumnElement[str], name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a JSON list of names has this one; a quoted name cannot begin within another."""
    return func.instr(names, func.json_quote(name)) > 0


_serves = and_(AT_WORK, _lists(func.coalesce(_server.queues, '["default"]'), _batch.queue))
_suits = and_(
    _serves,
    or_(_batch.need_tag.is_(None), _lists(func.coalesce(_server.tags, "[]"), _batch.need_tag)),
)
_holds = and_(
    _suits,
    or_(
        _batch.need_mem_mb.is_(None),
        _server.memory_mb.is_(None),
        _batch.need_mem_mb <= _server.memory_mb,
    ),
)
_awake = and_(_holds, _server.paused == 0)
_takes = and_(_awake, _server.takes_none.is_(None))

_serving = literal("a launcher that serves queue ").concat(_batch.queue)
_tagged = case((_batch.need_tag.is_not(None), sentence(" and has tag ", _batch.need_tag)), else_="")
_sized = case(
    (_batch.need_mem_mb.is_not(None), sentence(" and has ", _batch.need_mem_mb, " MB of memory")),
    else_="",
)
_most = select(func.max(_server.memory_mb)).where(_suits).scalar_subquery()
_one_why = (
    select(func.min(sentence(_server.serve_server_id, ": ", _server.takes_none)))
    .where(_awake)
    .scalar_subquery()
)
_ASKED = ("queue", "need_tag")
_ASKED_IN_ALL = (*_ASKED, "need_mem_mb")

FLEET = (
    Obstacle("no launcher", ~exists().where(AT_WORK), literal("a launcher (none runs)"), by=_ASKED),
    Obstacle(
        "queue unserved", ~exists().where(_serves), sentence(_serving, " (none does)"), by=_ASKED
    ),
    Obstacle(
        "tag unserved",
        ~exists().where(_suits),
        sentence(_serving, _tagged, " (none does)"),
        by=_ASKED,
    ),
    Obstacle(
        "too little memory",
        ~exists().where(_holds),
        sentence(_serving, _tagged, _sized, " (the most is ", _most, " MB)"),
        by=_ASKED_IN_ALL,
    ),
    Obstacle(
        "all paused",
        ~exists().where(_awake),
        sentence(_serving, _tagged, _sized, " (all are paused)"),
        by=_ASKED_IN_ALL,
    ),
    Obstacle(
        "none taken",
        ~exists().where(_takes),
        sentence(_serving, _tagged, _sized, " (none takes batches now; ", _one_why, ")"),
        by=_ASKED_IN_ALL,
    ),
)

# One launcher, by the parameters of its Offer.

_free_mb = bindparam("free_mb", type_=Integer())

HERE = (
    Obstacle(
        "queue unserved here",
        _batch.queue.not_in(bindparam("queues", expanding=True)),
        by=("queue",),
    ),
    PAUSED_QUEUE,
    Obstacle(
        "paused here",
        exists().where(_server.serve_server_id == bindparam("server"), _server.paused != 0),
    ),
    Obstacle(
        "no tag here",
        and_(
            _batch.need_tag.is_not(None),
            _batch.need_tag.not_in(bindparam("tags", expanding=True)),
        ),
        by=("need_tag",),
    ),
    Obstacle(
        "no memory here",
        and_(
            _free_mb.is_not(None),
            _batch.need_mem_mb.is_not(None),
            _batch.need_mem_mb > _free_mb,
        ),
    ),
    TIME,
    *OTHERS,
)
"""All that may keep a launcher from a batch."""

unblocked = and_(_batch.cancel_requested_at.is_(None), none_of(OTHERS))
"""No other batch is in its way."""

offered = and_(_batch.cancel_requested_at.is_(None), none_of(HERE))
"""Nothing keeps the launcher from the row."""


def waits_for() -> ColumnElement[str]:
    """Why a batch does not run; NULL for one that runs, has ended or is being cancelled."""
    here = words_of(
        (PARENT, CANDIDATE, PAUSED_QUEUE, TIME, KEY, TWIN), words_of(FLEET, _suitable_server())
    )
    return case((is_wanted, here))


def _suitable_server() -> ColumnElement[str]:
    """All that a batch asks of a server: whichever is left out may be the one that is missing."""
    tag, memory = _batch.need_tag.is_not(None), _batch.need_mem_mb.is_not(None)
    return sentence(
        "a free server",
        case((tag, sentence(" with tag ", _batch.need_tag)), else_=""),
        case((and_(tag, memory), ","), else_=""),
        case((memory, sentence(" with ", _batch.need_mem_mb, " MB of memory")), else_=""),
        case(
            (_batch.queue == "default", ""),
            (or_(tag, memory), sentence(", that serves queue ", _batch.queue)),
            else_=sentence(" that serves queue ", _batch.queue),
        ),
    )
