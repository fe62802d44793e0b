"""Simple ways to decide by many models' scores, against which a search has to be held.

Whatever a blend needs (weights, threshold) is learned on `valid` alone and is plain numbers, so
that a blend can be stored (pipeline/ensembles/combining.py) and score rows that nobody has seen
yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, assert_never

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from configs.errors import BadData
from models.metrics import merit
from models.scores import cuts

Scores = npt.NDArray[np.floating]
Labels = npt.NDArray[np.bool_]

Link = Literal["mean", "share", "logit"]

LIKELY = 1e-6
"""Probabilities nearer to 0 are taken for this: no model is ruled out by one row."""
GAP = 1e-3
"""Weights are good when no others can have a mean log likelihood higher by this."""
STEPS = 300
"""More steps are not made on the way there; stopping early also keeps weights from extremes."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """A weighted sum over models, in the order of the candidates, plus an intercept. `of` tells
    what is summed: the models' scores, or their votes; `link` what the sum is: their mean, how many
    of them (of which the score is the share), or a logit. A row is 1 if the score that the sum
    means reaches the threshold, which is a float32 as the score is.
    """

    method: str
    of: Literal["scores", "votes"]
    link: Link = "mean"
    weights: tuple[float, ...]
    intercept: float = 0.0
    threshold: float

    def total(self, said: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """The sum for each row: (rows,). said: of each model its scores or votes, as `of` tells.

        Models are added one after another, never by a matrix product, whose last digits would
        depend on the machine.
        """
        if len(said) != len(self.weights):
            raise BadData(f"the blend has {len(self.weights)} models, not {len(said)}")
        total = np.full(len(said[0]), self.intercept)
        for weight, row in zip(self.weights, said, strict=True):
            if weight:
                total += weight * row.astype(np.float64)
        return total

    def meaning(self, total: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """The scores, in [0, 1], that sums mean."""
        match self.link:
            case "logit":
                return np.asarray(expit(total), np.float32)
            case "share":
                return (total / sum(self.weights)).astype(np.float32)
            case "mean":
                # Weights sum to 1 but for rounding, which must not lift a score above 1.
                return np.clip(total, 0, 1).astype(np.float32)
            case _:
                assert_never(self.link)


def all_vote(models: int) -> Blend:
    """Every model votes once, at its own threshold; more than half decide."""
    half = float(np.float32((models // 2 + 1) / models))
    return Blend(method="all", of="votes", link="share", weights=(1.0,) * models, threshold=half)


def mean(scores: Scores, labels: Labels, metric: str) -> Blend:
    """The mean probability, cut where `metric` is best. scores: (models, rows) of valid."""
    return cut("mean", np.full(len(scores), 1 / len(scores)), 0.0, scores, labels, metric)


def weighted(scores: Scores, labels: Labels, metric: str) -> Blend:
    """The mean with the weights, none negative, under which the labels are likeliest.

    A blend of probabilities is a mixture, and expectation maximisation finds its best weights:
    each is multiplied by the mean share of the labels' likelihood that its model accounts for.
    The likelihood never falls, and the largest such factor bounds what is still to gain.
    """
    check(scores, labels)
    likelihood = np.clip(np.where(labels, scores, 1 - scores), LIKELY, 1).astype(np.float32)
    weights = np.full(len(scores), 1 / len(scores), dtype=np.float32)
    for _ in range(STEPS):
        factors = likelihood @ (1 / (weights @ likelihood)) / len(labels)
        if factors.max() - 1 < GAP:
            break
        weights *= factors
    # Last digits depend on the machine's matrix products: they are not kept.
    rounded = np.round(weights.astype(np.float64) / weights.sum(), 5)
    return cut("weighted", rounded / rounded.sum(), 0.0, scores, labels, metric)


def cut(
    method: str,
    weights: npt.NDArray[np.float64],
    intercept: float,
    scores: Scores,
    labels: Labels,
    metric: str,
    link: Link = "mean",
) -> Blend:
    """A blend of scores with these weights and the threshold at which `metric` is best."""
    check(scores, labels)
    blend = Blend(
        method=method,
        of="scores",
        link=link,
        weights=tuple(float(weight) for weight in weights),
        intercept=intercept,
        threshold=0.0,
    )
    values = blend.meaning(blend.total(list(scores)))
    return replace(blend, threshold=best_threshold(values, labels, metric))


def best_threshold(values: Scores, labels: Labels, metric: str) -> float:
    """The cut at which `metric` is best, of equal ones the highest: a number of the values' type.

    values: in [0, 1]. Every cut that makes a difference is tried. The threshold lies half way
    between the two values that it separates, so that rounding elsewhere changes nothing; if no
    number lies between them, it is the higher.
    """
    cut = cuts(labels, values)
    best = int(np.argmax(merit(metric, cut.counts)))
    if best in (0, len(cut.score)):
        return cut.threshold(best)
    upper, lower = cut.score[best - 1 : best + 1]
    middle = (upper + lower) / 2
    return float(middle if lower < middle else upper)


def check(scores: Scores, labels: Labels) -> None:
    """Raise BadData unless something can be learned from these scores and labels."""
    if scores.ndim != 2 or scores.shape[1:] != labels.shape or not len(scores):
        raise BadData(f"scores {scores.shape} and labels {labels.shape} do not fit")
    if not np.isfinite(scores).all():
        raise BadData("some scores are not numbers")
    if labels.all() or not labels.any():
        raise BadData("all rows of valid have the same label; nothing can be learned from them")
