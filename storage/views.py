"""Views for people: batches in words, models and ensembles with valid and test side by side, and
what lies in the bands of scores.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Double,
    FromClause,
    Join,
    Select,
    Table,
    TableClause,
    and_,
    case,
    column,
    literal,
    literal_column,
    select,
    table,
)

from configs.metric_names import COUNTS, METRICS, VOTE_METRICS
from configs.score_bands import HIGHEST, LOWEST
from storage.claimable import is_wanted
from storage.columns import seconds_between, utc_now
from storage.fleet import FLEET, suitable_server
from storage.in_words import current, dataset_name, last_error, status
from storage.metadata import same_model
from storage.obstacles import CANDIDATE, KEY, PARENT, PAUSED_QUEUE, TIME, TWIN, words_of
from storage.schema import (
    dc_batch,
    dc_batch_method,
    dc_batch_result,
    dc_batch_result_t4,
    dc_model,
    dc_score_band,
)

_batch = dc_batch.c


def _batches() -> Select[*tuple[Any, ...]]:
    return select(
        _batch.batch_id,
        _batch.mode,
        _batch.state,
        status(dc_batch).label("status"),
        _waits_for().label("waits_for"),
        current(_batch.progress).label("progress"),
        current(_batch.progress_note).label("progress_note"),
        seconds_between(_batch.created_at, utc_now()).label("age_seconds"),
        seconds_between(
            _batch.work_date,
            case((_batch.state == "U", utc_now()), else_=_batch.work_end_date),
        ).label("run_seconds"),
        _batch.serve_server_id,
        _batch.attempt,
        _batch.max_attempts,
        _batch.run_after,
        last_error().label("last_error"),
        _batch.batch_desc,
        dataset_name().label("dataset"),
        _batch.model_group,
        _batch.train_batch_id,
        _batch.candidate_id,
        _batch.priority,
        _batch.queue,
        _batch.created_at,
        _batch.work_date,
        _batch.work_end_date,
    )


def _waits_for() -> ColumnElement[str]:
    """Why a batch does not run; NULL for one that runs, has ended or is being cancelled."""
    here = words_of(
        (PARENT, CANDIDATE, PAUSED_QUEUE, TIME, KEY, TWIN), words_of(FLEET, suitable_server())
    )
    return case((is_wanted, here))


def _side_by_side(
    valid: FromClause, test: FromClause, columns: Sequence[str]
) -> list[ColumnElement[Any]]:
    return [
        side.c[name].label(f"{label}_{name}")
        for name in columns
        for label, side in (("valid", valid), ("test", test))
    ]


def _sides(table: Table, key: str) -> tuple[FromClause, FromClause, Join]:
    """The rows of valid and of test, and both with their batch, joined by `key`."""
    valid, test = table.alias("valid"), table.alias("test")
    same = and_(
        test.c.batch_id == valid.c.batch_id,
        test.c[key] == valid.c[key],
        test.c.split == "test",
    )
    of_batch = valid.outerjoin(dc_batch, _batch.batch_id == valid.c.batch_id)
    return valid, test, of_batch.outerjoin(test, same)


def _leaderboard() -> Select[*tuple[Any, ...]]:
    valid, test = dc_batch_result.alias("valid"), dc_batch_result.alias("test")
    model = dc_model.c

    def split(side: FromClause, name: str) -> ColumnElement[bool]:
        return and_(same_model(side, dc_model), side.c.split == name)

    return select(
        dataset_name().label("dataset"),
        model.batch_id,
        model.model_no,
        model.model_sub_no,
        model.model_id,
        model.threshold,
        *_side_by_side(valid, test, (*METRICS, "n_rows", *COUNTS)),
        model.seconds.label("fit_seconds"),
        model.device,
        model.split_id,
        model.params,
        _batch.batch_desc,
        model.created_at,
        _batch.dataset_group,
        _batch.dataset_version,
    ).select_from(
        dc_model.outerjoin(dc_batch, _batch.batch_id == model.batch_id)
        .outerjoin(valid, split(valid, "valid"))
        .outerjoin(test, split(test, "test"))
    )


def _ensembles() -> Select[*tuple[Any, ...]]:
    valid, test, both = _sides(dc_batch_result_t4, "ensemble_no")
    return (
        select(
            _batch.candidate_id,
            valid.c.batch_id,
            valid.c.rank_no,
            valid.c.ensemble_no,
            *_side_by_side(valid, test, (*VOTE_METRICS, *COUNTS)),
            _batch.batch_desc,
        )
        .select_from(both)
        .where(valid.c.split == "valid", valid.c.rank_no.is_not(None))
    )


def _methods() -> Select[*tuple[Any, ...]]:
    valid, test, both = _sides(dc_batch_method, "method")
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
        .select_from(both)
        .where(valid.c.split == "valid")
    )


def _score_bands() -> Select[*tuple[Any, ...]]:
    band, result = dc_score_band.c, dc_batch_result.c
    here = and_(same_model(dc_score_band, dc_batch_result), result.split == band.split)
    return select(
        band.batch_id,
        band.model_no,
        band.model_sub_no,
        result.model_id,
        band.split,
        band.band,
        case((band.band == LOWEST, _real(0)), else_=_score_of(band.band)).label("low"),
        case((band.band == HIGHEST, _real(1)), else_=_score_of(band.band + 1)).label("high"),
        band.n_rows,
        (_real(1) * band.n_rows / result.n_rows).label("share"),
        band.n_positive,
        (_real(1) * band.n_positive / band.n_rows).label("positive_rate"),
        band.mean_score,
    ).select_from(dc_score_band.join(dc_batch_result, here))


def _score_of(band: ColumnElement[int]) -> ColumnElement[float]:
    """Where a band begins: where odds are 2 ** band. Bits are shifted, as SQLite may lack POWER."""
    odds = literal(1).bitwise_lshift(band + -LOWEST)
    return _real(1) * odds / (_real(2**-LOWEST) + odds)


def _real(number: int) -> ColumnElement[float]:
    """As a double: MariaDB divides whole numbers and decimals to a few digits."""
    return literal_column(f"{number}e0", Double())


VIEWS: dict[str, Select[*tuple[Any, ...]]] = {
    "v_batch": _batches(),
    "v_leaderboard": _leaderboard(),
    "v_ensemble": _ensembles(),
    "v_method": _methods(),
    "v_score_band": _score_bands(),
}
"""What each view selects."""


def as_table(name: str) -> TableClause:
    """A view, to read from."""
    return table(name, *(column(part.name) for part in VIEWS[name].selected_columns))


def create_view(name: str, dialect: Dialect, view: str | None = None) -> str:
    """The statement that makes a view what VIEWS says, under its own name or another's.

    On SQLite the view must not exist yet.
    """
    body = VIEWS[name].compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    # A view that ran with its creator's rights would stop working when that account goes.
    how = "OR REPLACE SQL SECURITY INVOKER " if dialect.name == "mariadb" else ""
    return f"CREATE {how}VIEW {view or name} AS {body}"
