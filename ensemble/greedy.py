"""Greedy ensemble selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes,
"Ensemble selection from libraries of models", ICML 2004).

Start with an empty bag; again and again put in the model with which the bag's mean probability
decides best; keep the bag as it was when it was best. A model put in twice weighs twice.
"""

import numpy as np
import numpy.typing as npt

from ensemble.blend import Blend, Labels, Scores, check, cut
from models.metrics import merit

STEPS = 50
"""Models put into the bag, the same one again included."""
LEVELS = 1024
"""Cuts that are tried for each candidate bag, evenly between the least and the greatest score."""


def greedy(scores: Scores, labels: Labels, metric: str, steps: int = STEPS) -> Blend:
    """The bag for which `metric` is best, each candidate at its own best cut.

    scores: (models, rows) of valid. Of equal candidates the first is taken, of equally good bags
    the smallest. Scores are rounded to whole levels while choosing, so that sums are exact and
    the choice is the same on every machine.
    """
    check(scores, labels)
    order = np.argsort(labels, kind="stable")  # rows that are 0 first
    levels = _levels(scores)[:, order]
    zeros = int(np.count_nonzero(~labels))
    total = np.zeros(levels.shape[1], dtype=np.int32)
    bag, best, size = [], -np.inf, 0
    for step in range(1, steps + 1):
        merits = _merits((levels + total) // step, zeros, metric)
        chosen = int(np.argmax(merits))
        bag.append(chosen)
        total += levels[chosen]
        if merits[chosen] > best or not size:
            best, size = merits[chosen], step
    weights = np.bincount(bag[:size], minlength=len(scores)) / size
    return cut("greedy", weights, 0.0, scores, labels, metric)


def _levels(scores: Scores) -> npt.NDArray[np.int32]:
    low, high = float(scores.min()), float(scores.max())
    share = (scores.astype(np.float64) - low) / (high - low or 1.0)
    return np.rint(share * (LEVELS - 1)).astype(np.int32)


def _merits(means: npt.NDArray[np.int32], zeros: int, metric: str) -> npt.NDArray[np.float64]:
    """How well each candidate decides at its best cut. means: (models, rows), zeros first."""
    fp, tp = (_reaching(part) for part in (means[:, :zeros], means[:, zeros:]))
    ones = means.shape[1] - zeros
    counts = np.stack([zeros - fp, fp, ones - tp, tp], axis=-1)
    best: npt.NDArray[np.float64] = merit(metric, counts).max(axis=1)
    return best


def _reaching(means: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """How many rows reach each level, the highest first: (models, LEVELS)."""
    models = len(means)
    places = means + LEVELS * np.arange(models, dtype=np.int32)[:, None]
    spread = np.bincount(places.ravel(), minlength=models * LEVELS).reshape(models, LEVELS)
    return spread[:, ::-1].cumsum(axis=1)
