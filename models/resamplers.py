"""The methods of models/resampling.py, by imbalanced-learn; only workers import this."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from configs import plugins
from configs.errors import BadData, BadParameter
from models.kind import Labels, Matrix
from models.resampling import Strategy

with plugins.without("pandas"):  # which its scikit-learn would import, with 65 MB
    from imblearn.combine import SMOTEENN, SMOTETomek
    from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

NEIGHBOURS = 5
"""Of a rare row, to make synthetic ones: imbalanced-learn's default; all if there are fewer."""


def resample(
    method: str, X: Matrix, y: Labels, strategy: Strategy, *, seed: int
) -> tuple[Matrix, Labels]:
    """As resampling.Resample says, by any method except "none"."""
    ones = int(np.count_nonzero(y == 1))
    rare, common = sorted((ones, len(y) - ones))
    if rare == 0:
        raise BadData(f"resampling = {method}: the training part has only one class")
    if isinstance(strategy, float) and strategy < rare / common:
        raise BadParameter(
            f"samplingStrategy = {strategy:g} is below the ratio of the training part, "
            f"{rare / common:.4f}; resampling can only raise it"
        )
    if method not in ("under", "over") and rare < 2:
        raise BadData(
            f"resampling = {method} needs 2 rows of the rarer class in the training part, "
            f"there is {rare}; use over"
        )
    sampler = _sampler(method, strategy or "auto", min(NEIGHBOURS, rare - 1), seed)
    # One thread: which of equally near neighbours is found may depend on their number.
    with threadpool_limits(1):
        try:
            X_new, y_new = sampler.fit_resample(X, y)
        except (ValueError, RuntimeError) as error:
            raise BadData(f"resampling = {method}: {error}") from error
    if len(np.unique(y_new)) < 2:
        raise BadData(f"resampling = {method} left only one class; use another method")
    return np.ascontiguousarray(X_new, dtype=np.float32), y_new.astype(np.int8)


def _sampler(method: str, strategy: float | str, neighbours: int, seed: int) -> Any:
    given = {"sampling_strategy": strategy, "random_state": seed}
    match method:
        case "under":
            return RandomUnderSampler(**given)
        case "over":
            return RandomOverSampler(**given)
        case "smote":
            return SMOTE(k_neighbors=neighbours, **given)
        case "adasyn":
            return ADASYN(n_neighbors=neighbours, **given)
        case "smoteenn":
            return SMOTEENN(smote=SMOTE(k_neighbors=neighbours, **given))
        case "smotetomek":
            return SMOTETomek(smote=SMOTE(k_neighbors=neighbours, **given))
        case _:
            raise ValueError(f"unknown method {method}")
