"""How far a decision's metric may be from what it is on other rows like these: the bootstrap.

To draw n rows with replacement is to draw their counts tn, fp, fn, tp from a multinomial with the
shares of the counts, so no row is touched: it is the bootstrap of rows (Efron 1979) exactly, at the
price of four numbers a draw. The interval is the percentile interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.kind import Labels
from models.scores import Floats, vote_metrics

DRAWS = 10_000
LEVEL = 0.95

Called = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """Of a metric that is undefined in every draw, both ends are None."""

    low: float | None
    high: float | None


def of_metric(y: Labels, called: Called, metric: str, *, seed: int) -> Interval:
    """Where `metric` of the decision lies in 95 of 100 draws of as many rows."""
    counts = np.bincount(2 * (y == 1) + called, minlength=4)
    return _interval(vote_metrics(*_drawn(counts, seed).T)[metric])


def of_gain(y: Labels, called: Called, base: Called, metric: str, *, seed: int) -> Interval:
    """The same for how much better the decision is than `base` on the same rows.

    Both are drawn together, so that rows on which they agree blur nothing.
    """
    cells = np.bincount(4 * (y == 1) + 2 * called + base, minlength=8)
    drawn = _drawn(cells, seed).reshape(-1, 2, 2, 2)  # draw, label, called, base
    ours = vote_metrics(*drawn.sum(axis=3).reshape(-1, 4).T)[metric]
    theirs = vote_metrics(*drawn.sum(axis=2).reshape(-1, 4).T)[metric]
    return _interval(ours - theirs)


def _drawn(counts: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    rows = int(counts.sum())
    if not rows:
        return np.zeros((1, len(counts)), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(rows, counts / rows, size=DRAWS)


def _interval(values: Floats) -> Interval:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return Interval(None, None)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
