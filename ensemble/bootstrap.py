"""How much of a figure on `test` is luck: the bootstrap, for many methods on the same rows.

Drawing rows again with replacement only matters through how often each combination of label and
decisions is drawn. So the combinations are counted once, and each resample is one multinomial
draw over them: the same distribution as drawing rows, at a thousandth of the cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from configs.errors import BadData
from models.metrics import metric

DRAWS = 2000
LEVEL = 0.95
MOST = 40
"""Methods that can be compared at once: a combination is a number of so many bits."""

Interval = tuple[float, float] | None
"""Lower and upper end; None if the metric was defined in no resample."""


@dataclass(frozen=True)
class Bootstrap:
    """A metric of every method on every resample, (methods, draws); NaN where undefined. The same
    column means the same rows, so differences between methods are differences on equal rows.
    """

    methods: tuple[str, ...]
    values: npt.NDArray[np.float64]

    def interval(self, method: str) -> Interval:
        """Percentile interval of a method's metric."""
        return _percentiles(self._of(method))

    def difference(self, method: str, other: str) -> Interval:
        """Percentile interval of how much better `method` is than `other` on the same rows."""
        return _percentiles(self._of(method) - self._of(other))

    def _of(self, method: str) -> npt.NDArray[np.float64]:
        row: npt.NDArray[np.float64] = self.values[self.methods.index(method)]
        return row


def bootstrap(
    decisions: Mapping[str, npt.NDArray[np.bool_]],
    labels: npt.NDArray[np.bool_],
    name: str,
    seed: int,
) -> Bootstrap:
    """Resample rows; compute metric `name` of each method's decisions, (rows,), on each resample.

    Raises:
        BadData: there are no rows, or too many methods.
    """
    if not 1 <= len(decisions) <= MOST or not len(labels):
        raise BadData(f"cannot resample {len(labels)} rows of {len(decisions)} methods")
    code = labels.astype(np.int64)
    for place, decision in enumerate(decisions.values(), 1):
        code |= decision.astype(np.int64) << place
    cells, sizes = np.unique(code, return_counts=True)
    # Another release of NumPy may draw otherwise, unlike for a split (pipeline/split.py): then the
    # ends of an interval move within the luck of DRAWS draws, and nothing that is chosen changes.
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = generator.multinomial(len(labels), sizes / len(labels), size=DRAWS)
    one = (cells & 1).astype(np.bool_)
    values = []
    for place in range(1, len(decisions) + 1):
        called = (cells >> place & 1).astype(np.bool_)
        right = [~called & ~one, called & ~one, ~called & one, called & one]
        counts = np.stack([drawn[:, which].sum(axis=1) for which in right], axis=-1)
        values.append(metric(name, counts))
    return Bootstrap(tuple(decisions), np.array(values))


def _percentiles(values: npt.NDArray[np.float64]) -> Interval:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
