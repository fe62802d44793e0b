"""Features that may be the target in disguise, as what is noted once a loan has defaulted."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.kind import Labels
from models.scores import auc
from pipeline.frames import Categorical, Feature, classes_in, feature_of
from storage.content import canonical
from storage.records import Dataset, DatasetColumn

TELLING = 0.95
"""What a feature alone hardly ever reaches where the outcome is still open."""
FEWEST = 20
"""Rows of each class; with fewer of them chance alone may seem to tell."""
MOST = 10_000
"""Rows of each class that are looked at, drawn from all."""


def remarks(dataset: Dataset, rows: pa.Table) -> Iterator[str]:
    """Name each feature of these rows, as they are stored, that alone tells the classes apart."""
    target = dataset.column_of("target")
    if target is None:
        return
    known, _ = classes_in(dataset, _alone(target, rows))
    assert known is not None
    draw = np.random.default_rng(0)  # an AUC does not depend on how many of each class there are
    of_each = [draw.permutation(np.flatnonzero(known == label))[:MOST] for label in (0, 1)]
    if min(map(len, of_each)) < FEWEST:
        return
    drawn = draw.permutation(np.concatenate(of_each))
    y, seen = known[drawn], pa.array(drawn)
    for column in dataset.columns_of("feature"):
        feature = feature_of(column, _alone(column, rows).take(seen))
        area = _area(feature, y)
        if area >= TELLING:
            yield (
                f"{feature.name}: alone it tells the classes apart (AUC {area:.4f}); if it is "
                "known only after the outcome, name it with --drop"
            )


def _alone(column: DatasetColumn, rows: pa.Table) -> pa.Table:
    return canonical(rows.select([column.column_name]), [column])


def _area(feature: Feature, y: Labels) -> float:
    """AUC of the feature alone, what is missing being one more value."""
    if not isinstance(feature, Categorical):
        ranks = np.unique(feature.values, return_inverse=True)[1]  # of a NaN the highest
        area = auc(y, ranks.astype(np.float32)) or 0.0
        return max(area, 1 - area)
    # How often a category is of class 1 in one half of the rows, measured on the other: else one
    # that only a single row has would tell that row's class.
    codes, learned, judged = feature.codes + 1, slice(0, None, 2), slice(1, None, 2)
    count = len(feature.categories) + 1
    rows = np.bincount(codes[learned], minlength=count)
    ones = np.bincount(codes[learned], weights=y[learned], minlength=count)
    rate = (ones + y.mean()) / (rows + 1)
    return auc(y[judged], rate[codes[judged]].astype(np.float32)) or 0.0
