"""Views for people: batches in words, models and ensembles with valid and test side by side."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
)

from configs.errors import Cancelled
from storage.claimable import (
    has_active_twin,
    key_is_busy,
    parent_is_open,
    queue_is_paused,
    waits,
    waits_for_retry_of,
)
from storage.columns import seconds_between, utc_now
from storage.metadata import COUNTS
from storage.schema import (
    METRICS,
    VOTE_METRICS,
    dc_batch,
    dc_batch_method,
    dc_batch_result,
    dc_batch_result_t4,
    dc_model,
)
from storage.serving import missing_launcher

_batch = dc_batch.c
_parent = dc_batch.alias("parent")
_holder = dc_batch.alias("holder")


def _words(table: FromClause) -> ColumnElement[str]:
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


def _waits_for() -> ColumnElement[str]:
    """Why a batch does not run; NULL for one that runs or has ended."""
    parent_state = select(_words(_parent)).where(_parent.c.batch_id == _batch.train_batch_id)
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


def _last_error() -> ColumnElement[str]:
    return _sentence(_batch.error_class, ": ", func.coalesce(_batch.error_text, ""))


def _batches() -> Select[*tuple[Any, ...]]:
    return select(
        _batch.batch_id,
        _batch.mode,
        _batch.state,
        _words(dc_batch).label("status"),
        _waits_for().label("waits_for"),
        _batch.progress,
        _batch.progress_note,
        seconds_between(_batch.created_at, utc_now()).label("age_seconds"),
        seconds_between(
            _batch.work_date,
            case((_batch.state == "U", utc_now()), else_=_batch.work_end_date),
        ).label("run_seconds"),
        _batch.serve_server_id,
        _batch.attempt,
        _batch.max_attempts,
        _batch.run_after,
        _last_error().label("last_error"),
        _batch.batch_desc,
        _dataset().label("dataset"),
        _batch.model_group,
        _batch.train_batch_id,
        _batch.candidate_id,
        _batch.priority,
        _batch.queue,
        _batch.created_at,
        _batch.work_date,
        _batch.work_end_date,
    )


def _dataset() -> ColumnElement[str]:
    return _sentence(_batch.dataset_group, "/", _batch.dataset_version)


def _side_by_side(
    valid: FromClause, test: FromClause, columns: Sequence[str]
) -> list[ColumnElement[Any]]:
    return [
        side.c[name].label(f"{label}_{name}")
        for name in columns
        for label, side in (("valid", valid), ("test", test))
    ]


def _leaderboard() -> Select[*tuple[Any, ...]]:
    valid, test = dc_batch_result.alias("valid"), dc_batch_result.alias("test")
    model = dc_model.c

    def split(side: FromClause, name: str) -> ColumnElement[bool]:
        return and_(
            side.c.batch_id == model.batch_id,
            side.c.model_no == model.model_no,
            side.c.model_sub_no == model.model_sub_no,
            side.c.split == name,
        )

    return select(
        _dataset().label("dataset"),
        model.batch_id,
        model.model_no,
        model.model_sub_no,
        model.model_id,
        model.threshold,
        *_side_by_side(valid, test, (*METRICS, "n_rows", *COUNTS)),
        model.seconds.label("fit_seconds"),
        model.device,
        model.params,
        _batch.batch_desc,
        model.created_at,
    ).select_from(
        dc_model.outerjoin(dc_batch, _batch.batch_id == model.batch_id)
        .outerjoin(valid, split(valid, "valid"))
        .outerjoin(test, split(test, "test"))
    )


def _ensembles() -> Select[*tuple[Any, ...]]:
    valid, test = dc_batch_result_t4.alias("valid"), dc_batch_result_t4.alias("test")
    other_side = and_(
        test.c.batch_id == valid.c.batch_id,
        test.c.ensemble_no == valid.c.ensemble_no,
        test.c.split == "test",
    )
    return (
        select(
            _batch.candidate_id,
            valid.c.batch_id,
            valid.c.rank_no,
            valid.c.ensemble_no,
            *_side_by_side(valid, test, (*VOTE_METRICS, *COUNTS)),
            _batch.batch_desc,
        )
        .select_from(
            valid.outerjoin(dc_batch, _batch.batch_id == valid.c.batch_id).outerjoin(
                test, other_side
            )
        )
        .where(valid.c.split == "valid", valid.c.rank_no.is_not(None))
    )


def _methods() -> Select[*tuple[Any, ...]]:
    valid, test = dc_batch_method.alias("valid"), dc_batch_method.alias("test")
    other_side = and_(
        test.c.batch_id == valid.c.batch_id,
        test.c.method == valid.c.method,
        test.c.split == "test",
    )
    return (
        select(
            _batch.candidate_id,
            valid.c.batch_id,
            valid.c.method,
            valid.c.chosen,
            valid.c.n_models,
            valid.c.metric,
            test.c.low.label("test_low"),
            test.c.high.label("test_high"),
            test.c.gain.label("test_gain"),
            test.c.gain_low.label("test_gain_low"),
            test.c.gain_high.label("test_gain_high"),
            *_side_by_side(valid, test, (*METRICS, "n_rows", *COUNTS)),
            valid.c.threshold,
            _batch.batch_desc,
        )
        .select_from(
            valid.outerjoin(dc_batch, _batch.batch_id == valid.c.batch_id).outerjoin(
                test, other_side
            )
        )
        .where(valid.c.split == "valid")
    )


VIEWS: dict[str, Select[*tuple[Any, ...]]] = {
    "v_batch": _batches(),
    "v_leaderboard": _leaderboard(),
    "v_ensemble": _ensembles(),
    "v_method": _methods(),
}
"""What each view selects."""


def create_view(name: str, dialect: Dialect, view: str | None = None) -> str:
    """The statement that makes a view what VIEWS says, under its own name or another's.

    On SQLite the view must not exist yet.
    """
    body = VIEWS[name].compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    # A view that ran with its creator's rights would stop working when that account goes.
    how = "OR REPLACE SQL SECURITY INVOKER " if dialect.name == "mariadb" else ""
    return f"CREATE {how}VIEW {view or name} AS {body}"
