"""Whether launchers are at work that would take a waiting batch, in words for `v_batch`."""

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_

from storage.columns import utc_now
from storage.schema import dc_batch, dc_server

_SILENT_SECONDS = 180  # several beats of a launcher with the usual lease; a dead one leaves its row

_batch = dc_batch.c
_server = dc_server.c

at_work = and_(
    _server.identity.is_not(None), _server.last_seen > utc_now(literal(-_SILENT_SECONDS))
)
"""A launcher that runs, as far as one can tell."""


def _lists(names: ColumnElement[str], name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a JSON list of names has this one; a quoted name cannot begin within another."""
    return func.instr(names, func.json_quote(name)) > 0


_serves = and_(at_work, _lists(func.coalesce(_server.queues, '["default"]'), _batch.queue))
_fits = and_(
    _serves,
    or_(_batch.need_tag.is_(None), _lists(func.coalesce(_server.tags, "[]"), _batch.need_tag)),
)
_free = and_(_fits, _server.paused == 0)


def missing_launcher(otherwise: ColumnElement[str]) -> ColumnElement[str]:
    """What no launcher offers that is at work; memory is for the launchers alone to know."""
    in_queue = literal("a launcher that serves queue ").concat(_batch.queue)
    return case(
        (~exists().where(at_work), "a launcher (none runs)"),
        (~exists().where(_serves), in_queue.concat(" (none does)")),
        (
            ~exists().where(_fits),
            in_queue.concat(" and has tag ").concat(_batch.need_tag).concat(" (none does)"),
        ),
        (~exists().where(_free), in_queue.concat(" (all are paused)")),
        else_=otherwise,
    )
