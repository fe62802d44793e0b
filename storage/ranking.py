"""Models ranked: by which metrics, and which comes first."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause

from configs.errors import BadParameter
from configs.meant import meant
from configs.metric_names import LOWER_IS_BETTER, METRICS
from storage.metadata import MODEL_KEY


def require_metric(metric: str) -> None:
    """Raise BadParameter, which lists the metrics, for one that does not exist."""
    if metric not in METRICS:
        raise BadParameter(
            f"unknown metric {metric!r}; {meant(metric, METRICS)}there are: {', '.join(METRICS)}"
        )


def best_first(
    models: FromClause, metric: str, *, prefix: str = ""
) -> tuple[ColumnElement[Any], ...]:
    """The order of rows that have MODEL_KEY and the metric, its name after `prefix`. Undefined ones
    come last, on MariaDB as on SQLite; equal ones in the order of their keys.
    """
    value = models.c[prefix + metric]
    best = value if metric in LOWER_IS_BETTER else value.desc()
    return value.is_(None), best, *(models.c[name] for name in MODEL_KEY)
