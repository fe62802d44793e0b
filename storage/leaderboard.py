"""What people read of models and ensembles: ranked, and the results of one batch."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, select

from configs.errors import NotFound
from storage.batches import no_such
from storage.metadata import MODEL_KEY, same_model
from storage.ranking import best_first, require_metric
from storage.schema import dc_batch, dc_batch_result
from storage.views import as_table

Row = dict[str, Any]


_ranked, _ensembles, _methods = (
    as_table(name) for name in ("v_leaderboard", "v_ensemble", "v_method")
)

MODEL_NAMES, ENSEMBLE_NAMES, RESULT_NAMES = (
    tuple(column.name for column in source.c) for source in (_ranked, _ensembles, dc_batch_result)
)


def models(
    connection: Connection,
    *,
    dataset: tuple[str, int] | None = None,
    batch_id: int | None = None,
    metric: str = "auc",
    limit: int = 50,
) -> list[Row]:
    """Rows of v_leaderboard, best first by `metric` on valid; `dataset`: group and version.

    Test plays no part in the order: choosing by it would make it a second valid.

    Raises:
        BadParameter: there is no such metric.
    """
    require_metric(metric)
    chosen = _chosen(_ranked, dataset, batch_id)
    order = best_first(_ranked, metric, prefix="valid_")
    best = _best_results(metric, dataset, batch_id, limit).subquery("best")
    query = select(_ranked).join(best, same_model(_ranked, best))
    found = _read(connection, query.order_by(*order))
    if len(found) == limit:
        return found
    # There are few, or the metric is undefined for some.
    return _read(connection, select(_ranked).where(*chosen).order_by(*order).limit(limit))


def _best_results(
    metric: str, dataset: tuple[str, int] | None, batch_id: int | None, limit: int
) -> Select[*tuple[Any, ...]]:
    """The models that come first, from results alone: a row of dc_model is long, and to read and
    sort a million of them takes many seconds.
    """
    result = dc_batch_result.c
    return (
        select(*(result[name] for name in MODEL_KEY))
        .where(result.split == "valid", result[metric].is_not(None))
        .where(*_chosen(dc_batch_result, dataset, batch_id))
        .order_by(*best_first(dc_batch_result, metric))
        .limit(limit)
    )


def _chosen(
    of: FromClause, dataset: tuple[str, int] | None, batch_id: int | None
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if dataset is not None:
        group, version = dataset
        batches_of = select(dc_batch.c.batch_id).where(
            dc_batch.c.dataset_group == group, dc_batch.c.dataset_version == version
        )
        conditions.append(of.c.batch_id.in_(batches_of))
    if batch_id is not None:
        conditions.append(of.c.batch_id == batch_id)
    return conditions


def ensembles(connection: Connection, batch_id: int, *, limit: int = 50) -> list[Row]:
    """Rows of v_ensemble of a batch, by their rank on valid."""
    query = select(_ensembles).where(_ensembles.c.batch_id == batch_id)
    return _read(connection, query.order_by(_ensembles.c.rank_no).limit(limit))


def methods(connection: Connection, batch_id: int) -> list[Row]:
    """Rows of v_method of an ensemble batch: the method it answers with first, then by its metric
    on valid.
    """
    found = _read(connection, select(_methods).where(_methods.c.batch_id == batch_id))

    def order(row: Row) -> tuple[Any, ...]:
        value = row[f"valid_{row['metric']}"]
        return not row["chosen"], value is None, -(value or 0.0), row["method"]

    return sorted(found, key=order)


def results(connection: Connection, batch_id: int) -> list[Row]:
    """Rows of dc_batch_result of a batch: by model and variant, valid before test.

    Raises:
        NotFound: there is no such batch.
    """
    known = select(dc_batch.c.batch_id).where(dc_batch.c.batch_id == batch_id)
    if connection.scalar(known) is None:
        raise NotFound(no_such(batch_id))
    result = dc_batch_result.c
    query = (
        select(dc_batch_result)
        .where(result.batch_id == batch_id)
        .order_by(result.model_no, result.model_sub_no, result.split.desc())
    )
    return _read(connection, query)


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]
