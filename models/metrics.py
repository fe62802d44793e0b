"""What tn, fp, fn and tp say about decisions, for any number of them at once: those of a model, of
every cut of its scores, of a million ensembles. models/scores.py says what each metric is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def confusion(decisions: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]) -> Counts:
    """tn, fp, fn, tp of decisions (..., rows) against labels (rows,): (..., 4)."""
    tp = (decisions & labels).sum(axis=-1)
    fp = (decisions & ~labels).sum(axis=-1)
    ones = np.count_nonzero(labels)
    return np.stack([len(labels) - ones - fp, fp, ones - tp, tp], axis=-1).astype(np.int64)


def metric(name: str, counts: Counts) -> Values:  # noqa: PLR0911 - one a metric
    """A metric of counts (..., 4) of tn, fp, fn, tp: (...), NaN where it is undefined.

    Only exact operations and correctly rounded ones: the same on every machine.
    """
    tn, fp, fn, tp = np.moveaxis(counts, -1, 0)
    match name:
        case "accuracy":
            return _ratio(tn + tp, tn + fp + fn + tp)
        case "precision_score":
            return _ratio(tp, tp + fp)
        case "recall_score":
            return _ratio(tp, tp + fn)
        case "specificity":
            return _ratio(tn, tn + fp)
        case "f1_score":
            return _ratio(2 * tp, 2 * tp + fp + fn)
        case "balanced_accuracy":
            return (_ratio(tp, tp + fn) + _ratio(tn, tn + fp)) / 2
        case "mcc":
            # Each root is of a product below 2^53, so exact under it, for up to 94 million rows.
            # Grouped so that perfect decisions have 1 exactly; others may pass it by rounding.
            root = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
            return np.clip(_ratio(tp * tn - fp * fn, root), -1, 1)
        case _:
            raise ValueError(f"{name} is no metric of decisions")


def merit(name: str, counts: Counts) -> Values:
    """The metric for ranking: minus infinity where it is undefined, so that this comes last."""
    values = metric(name, counts)
    return np.where(np.isnan(values), -np.inf, values)


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Values:
    values = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=values, where=whole > 0)
    return values
