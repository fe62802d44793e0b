"""The `threshold` parameter: given, or chosen on `valid` over every cut that the scores allow.

A chosen threshold is one of the scores, so as float32 it cuts exactly where it was chosen. Of cuts
that are equally good the highest wins: the one that calls the fewest rows 1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from configs.errors import BadData, BadParameter
from configs.meant import meant, nearest
from configs.metric_names import VOTE_METRICS
from models.hyperparameters import Real, Word
from models.kind import Labels, Scores
from models.metrics import metric
from models.scores import Floats, cuts

ALLOWED = (
    f'a number from 0 to 1, {{"metric": one of {", ".join(VOTE_METRICS)}}}, '
    'or {"costFn": x, "costFp": y} with numbers above 0'
)

_ROUNDING = 1e-14  # relative; values of two cuts of a million rows are further apart


@dataclass(frozen=True, slots=True)
class Fixed:
    """A threshold as given."""

    value: float


@dataclass(frozen=True, slots=True)
class Best:
    """The cut with the highest value of a metric."""

    metric: str


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The cut with the lowest cost_fn * fn + cost_fp * fp."""

    cost_fn: float
    cost_fp: float


Spec = Fixed | Best | Cheapest


def parse(value: object) -> Spec:
    """From JSON; numbers may be strings. Raises BadParameter, naming what is allowed."""
    refused: Exception | None = None
    try:
        if not isinstance(value, Mapping):
            return Fixed(Real(0, 1).read(value))
        if set(value) == {"metric"}:
            return Best(Word(*VOTE_METRICS).read(value["metric"]))
        if set(value) == {"costFn", "costFp"}:
            cost = Real(0, above=True)
            return Cheapest(cost.read(value["costFn"]), cost.read(value["costFp"]))
    except (ValueError, OverflowError) as error:
        refused = error
    written = json.dumps(value, ensure_ascii=False, default=str)
    raise BadParameter(
        f"batch_param: threshold = {written:.200} is not allowed; {_meant(value)}allowed: {ALLOWED}"
    ) from refused


def _meant(value: object) -> str:
    if isinstance(value, Mapping):
        return meant(str(value.get("metric", "")), VOTE_METRICS)
    near = nearest(value, VOTE_METRICS) if isinstance(value, str) else None
    return f'did you mean {{"metric": "{near}"}}? ' if near else ""


def choose(spec: Spec, y_valid: Labels, scores_valid: Scores) -> float:
    """The threshold; one above every score where calling no row 1 is best.

    Raises:
        BadData: there are no valid rows, or the metric is undefined at every cut.
    """
    if isinstance(spec, Fixed):
        return spec.value
    if not len(y_valid):
        raise BadData("threshold: there are no valid rows to choose it on; give a number")
    cut = cuts(y_valid, scores_valid)
    if isinstance(spec, Cheapest):
        _, fp, fn, _ = cut.counts.T
        return cut.threshold(_first_best(-(spec.cost_fn * fn + spec.cost_fp * fp)))
    values = metric(spec.metric, cut.counts)
    if np.isnan(values).all():
        why = (
            "which has only one class"
            if len(np.unique(y_valid)) < 2
            else "whose scores are all equal"
        )
        raise BadData(f"threshold: {spec.metric} is undefined on valid, {why}")
    return cut.threshold(_first_best(values))


def _first_best(values: Floats) -> int:
    """The highest cut of the best ones. What rounding alone sets apart is equal: as doubles three
    misses of cost 0.1 are dearer than one of 0.3.
    """
    best = np.nanmax(values)
    return int(np.argmax(values >= best - _ROUNDING * abs(best)))
