"""Resampling of the training part with imbalanced-learn. No other rows ever come here.

`samplingStrategy` is imbalanced-learn's: a number is the wanted ratio of the rarer class to the
other one, a word says which class to resample. It belongs to the step that adds or drops rows; the
cleaning of smoteenn and smotetomek looks at both classes, as it does by default.
"""

from typing import Any

import numpy as np
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from threadpoolctl import threadpool_limits

from configs.errors import BadData, BadParameter
from models.kind import Labels, Matrix
from models.parameters import Either, Null, Real, Word

METHOD = Word("none", "under", "over", "smote", "adasyn", "smoteenn", "smotetomek")
STRATEGY = Either(
    Real(0, 1, above=True),
    Word("auto", "minority", "majority", "not minority", "not majority", "all"),
    Null(),
)
NEIGHBOURS = 5
"""Of each rare row, for synthetic ones: imbalanced-learn's default. Fewer where there are fewer."""

Strategy = float | str | None


def check(method: str, strategy: Strategy) -> None:
    """Raise BadParameter for a strategy that the method never takes."""
    absurd = {"under": "minority"}.get(method, "majority")
    if method != "none" and strategy == absurd:
        raise BadParameter(
            f'samplingStrategy = "{strategy}" does not go with resampling = {method}'
        )


def resample(
    X: Matrix, y: Labels, method: str, strategy: Strategy, *, seed: int
) -> tuple[Matrix, Labels]:
    """The training part with rows added, dropped or both; the same for the same seed.

    Raises:
        BadParameter: the ratio asked for is below the one there is.
        BadData: too few rows of the rarer class, or none left.
    """
    if method == "none":
        return X, y
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
            return SMOTEENN(smote=SMOTE(k_neighbors=neighbours, **given), random_state=seed)
        case "smotetomek":
            return SMOTETomek(smote=SMOTE(k_neighbors=neighbours, **given), random_state=seed)
        case _:
            raise ValueError(f"unknown method {method}")
