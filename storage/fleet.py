"""Why none of the launchers that dc_server knows can run a waiting batch.

As a rule a person must start or resume one for the queue and the tag. Here counts the memory that
their hosts have: how much of it is free only they themselves know.
"""

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select

from storage.in_words import named, sentence
from storage.obstacles import Obstacle
from storage.schema import dc_batch, dc_server
from storage.servers import AT_WORK

_batch = dc_batch.c
_server = dc_server.c


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

_serving = literal("a launcher that serves queue ").concat(named(_batch.queue))
_tagged = case(
    (_batch.need_tag.is_not(None), sentence(" and has tag ", named(_batch.need_tag))), else_=""
)
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


def suitable_server() -> ColumnElement[str]:
    """All that a batch asks of a server: whichever is left out may be the one that is missing."""
    tag, memory = _batch.need_tag.is_not(None), _batch.need_mem_mb.is_not(None)
    return sentence(
        "a free server",
        case((tag, sentence(" with tag ", _batch.need_tag)), else_=""),
        case((and_(tag, memory), ","), else_=""),
        case((memory, sentence(" with ", _batch.need_mem_mb, " MB of free memory")), else_=""),
        case(
            (_batch.queue == "default", ""),
            (or_(tag, memory), sentence(", that serves queue ", _batch.queue)),
            else_=sentence(" that serves queue ", _batch.queue),
        ),
    )
