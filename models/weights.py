"""Weights of rows: from `classWeight`, and those that make `valid` comparable with training."""

from collections.abc import Mapping

import numpy as np

from models.kind import Labels, Weights

ClassWeight = str | Mapping[str, float]
"""`balanced`, or the weight of a row of class "0" and of class "1"."""


def of_classes(y: Labels, class_weight: ClassWeight | None) -> Weights | None:
    """One weight a row; None when all rows weigh the same.

    `balanced` gives both classes the same sum, and the average row 1: n / (2 n_class).
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        ones = max(int(np.count_nonzero(y == 1)), 1)
        zeros = max(len(y) - int(np.count_nonzero(y == 1)), 1)
        pair = (len(y) / (2 * zeros), len(y) / (2 * ones))
    else:
        pair = (class_weight["0"], class_weight["1"])
    return np.where(y == 1, pair[1], pair[0]).astype(np.float64)


def for_stopping(y: Labels, weight: Weights | None, y_valid: Labels) -> Weights | None:
    """Weights of `valid` that give its classes the shares they have in training.

    Resampling and class weights shift what a model thinks of a class; watched without this, the
    log loss on `valid` would stop such a model while it still learns. The average row weighs 1.
    None when `valid` lacks a class, so that nothing can be watched.
    """
    ones = np.count_nonzero(y_valid == 1)
    if ones in (0, len(y_valid)):
        return None
    share = float(np.average(y == 1, weights=weight))
    share_valid = ones / len(y_valid)
    one, zero = share / share_valid, (1 - share) / (1 - share_valid)
    return np.where(y_valid == 1, one, zero).astype(np.float64)
