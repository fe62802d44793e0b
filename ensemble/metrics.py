"""What tn, fp, fn and tp say about decisions, for any number of them at once.

models/scores.py has the same formulas: neither package imports the other, and a test holds them
equal.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def _ratio(part: Counts, whole: Counts) -> Values:
    values = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=values, where=whole > 0)
    return values


def _accuracy(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:
    return _ratio(tn + tp, tn + fp + fn + tp)


def _precision(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:  # noqa: ARG001 - one shape for all
    return _ratio(tp, tp + fp)


def _recall(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:  # noqa: ARG001
    return _ratio(tp, tp + fn)


def _specificity(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:  # noqa: ARG001
    return _ratio(tn, tn + fp)


def _f1(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:  # noqa: ARG001
    return _ratio(2 * tp, 2 * tp + fp + fn)


def _balanced_accuracy(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:
    return (_recall(tn, fp, fn, tp) + _specificity(tn, fp, fn, tp)) / 2


def _mcc(tn: Counts, fp: Counts, fn: Counts, tp: Counts) -> Values:
    # Each root is of a product below 2^53, so exact under it, for up to 94 million rows. Grouped so
    # that perfect decisions have 1 exactly; others may pass it by rounding.
    root = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    values = np.full(np.shape(root), np.nan)
    np.divide(tp * tn - fp * fn, root, out=values, where=root > 0)
    return np.asarray(np.clip(values, -1, 1))


METRICS: Mapping[str, Callable[[Counts, Counts, Counts, Counts], Values]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "precision_score": _precision,
        "recall_score": _recall,
        "specificity": _specificity,
        "f1_score": _f1,
        "balanced_accuracy": _balanced_accuracy,
        "mcc": _mcc,
    }
)
"""How each of VOTE_METRICS (configs/metric_names.py) is computed."""


def confusion(decisions: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]) -> Counts:
    """tn, fp, fn, tp of decisions (..., rows) against labels (rows,): (..., 4)."""
    tp = (decisions & labels).sum(axis=-1)
    fp = (decisions & ~labels).sum(axis=-1)
    ones = np.count_nonzero(labels)
    return np.stack([len(labels) - ones - fp, fp, ones - tp, tp], axis=-1).astype(np.int64)


def metric(name: str, counts: Counts) -> Values:
    """A metric of counts (..., 4) of tn, fp, fn, tp: (...), NaN where it is undefined.

    Only exact operations and correctly rounded ones: the same on every machine.
    """
    return METRICS[name](counts[..., 0], counts[..., 1], counts[..., 2], counts[..., 3])


def merit(name: str, counts: Counts) -> Values:
    """The metric for ranking: minus infinity where it is undefined, so that this comes last."""
    values = metric(name, counts)
    return np.where(np.isnan(values), -np.inf, values)
