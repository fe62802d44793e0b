"""What rows of valid and test hold that no row of train did, as where they are of a later time: no
model has learned what it means.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.frames import Categorical, Feature, Frame, Numeric
from pipeline.matching import FEW
from pipeline.preprocess import said_of_columns
from pipeline.rules import CategoricalRule, Preprocessor
from pipeline.split import Parts, Rows


def doubts(fitted: Preprocessor, frame: Frame, parts: Parts) -> tuple[str, ...]:
    """Features with many such rows, the most first; those that no model uses are not looked at."""
    aside = np.concatenate([parts.valid, parts.test])
    unknown, gaps = {}, {}
    for rule in fitted.rules:
        feature = frame.by_name[rule.name]
        gaps[rule.name] = _gaps(feature, parts.train, aside)
        if isinstance(rule, CategoricalRule) and isinstance(feature, Categorical):
            unknown[rule.name] = _unknown(rule, feature, parts.train, aside)
    rows = "of valid and test"
    return (
        *said_of_columns(unknown, len(aside), f"{rows} with a category that train never had"),
        *said_of_columns(gaps, len(aside), f"{rows} without a value, which none of train lacked"),
    )


def _unknown(rule: CategoricalRule, feature: Categorical, train: Rows, aside: Rows) -> int:
    """Where train had rare categories, others are like them unless they are not rare."""
    counts = _counts(feature, aside)
    counts[_counts(feature, train) > 0] = 0
    if rule.other:
        counts = counts[counts > FEW * len(aside)]
    return int(counts.sum())


def _counts(feature: Categorical, rows: Rows) -> NDArray[np.int64]:
    codes = feature.codes[rows]
    return np.bincount(codes[codes >= 0], minlength=len(feature.categories))


def _gaps(feature: Feature, train: Rows, aside: Rows) -> int:
    lacks = np.isnan(feature.values) if isinstance(feature, Numeric) else feature.codes < 0
    return 0 if lacks[train].any() else int(np.count_nonzero(lacks[aside]))
