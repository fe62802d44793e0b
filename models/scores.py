"""Metrics of 0/1 decisions and of scores, as scikit-learn defines them; None where undefined.

A row is called 1 if its score is at least the threshold. With P = fn + tp rows of class 1,
N = tn + fp of class 0 and n = P + N:

accuracy           (tp + tn) / n
precision_score    tp / (tp + fp)
recall_score       tp / P
specificity        tn / N
f1_score           2 tp / (2 tp + fp + fn)
balanced_accuracy  (recall_score + specificity) / 2
mcc                (tp tn - fp fn) / sqrt((tp + fp) (tp + fn) (tn + fp) (tn + fn))
auc                share of the P N pairs in which the 1 has the higher score; a tie counts half
gini               2 auc - 1
ks                 max over the distinct scores s of |F1(s) - F0(s)|, F1 and F0 being the shares
                   of the ones and of the zeros whose score is at least s
pr_auc             average precision: sum over the distinct scores, from the highest, of the gain
                   in recall times the precision there (no interpolation)
brier              mean of (score - y)^2
log_loss           mean of -log(score) over the ones and -log(1 - score) over the zeros, each
                   clipped to [e, 1 - e], e = 2.2e-16, after the scores became float64

Undefined is what divides by zero: precision without a row called 1, mcc where a row or column of
the confusion matrix is empty, auc with one class, everything without rows. (scikit-learn gives 0
for some of these, with a warning or without.) Those of decisions are worked out by
models/metrics.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from configs.metric_names import VOTE_METRICS
from models.kind import Labels, Scores
from models.metrics import Counts, confusion, metric

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """Counts and metrics of one model on one part of the rows, named as in dc_batch_result."""

    tn: int
    fp: int
    fn: int
    tp: int
    accuracy: float | None
    precision_score: float | None
    recall_score: float | None
    specificity: float | None
    f1_score: float | None
    balanced_accuracy: float | None
    mcc: float | None
    auc: float | None = None
    gini: float | None = None
    ks: float | None = None
    pr_auc: float | None = None
    brier: float | None = None
    log_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Cuts:
    """Every way to cut the scores, from none called 1 to all: k + 1 cuts of k distinct scores.

    Cut 0 calls no row 1; cut i calls those rows 1 whose score is at least `score[i - 1]`. `tp` and
    `fp` count, as float64 holding whole numbers, the rows of class 1 and of class 0 called 1.
    """

    score: NDArray[np.floating]  # (k,), falling
    tp: Floats  # (k + 1,), rising
    fp: Floats  # (k + 1,), rising

    @property
    def counts(self) -> Counts:
        """tn, fp, fn, tp of each cut: (k + 1, 4)."""
        tn, fn = self.fp[-1] - self.fp, self.tp[-1] - self.tp
        return np.stack([tn, self.fp, fn, self.tp], axis=-1).astype(np.int64)

    def threshold(self, cut: int) -> float:
        """The highest that cuts so: a score, or a number above them all where none is called 1."""
        if cut:
            return float(self.score[cut - 1])
        return float(np.nextafter(self.score[0], self.score.dtype.type(np.inf)))


def decide(scores: Scores, threshold: float) -> NDArray[np.bool_]:
    """Which rows are called 1. The threshold is rounded to float32 first, as the scores were.

    So a forest's 7 of 10 trees reach a threshold of 0.7, which as float64 is above float32's 0.7.
    """
    return scores >= np.float32(threshold)


def measure(y: Labels, scores: Scores, threshold: float) -> Metrics:
    """All metrics of float32 scores in [0, 1]. `y` holds 0 and 1."""
    if y.shape != scores.shape or y.ndim != 1:
        raise ValueError(f"labels {y.shape} and scores {scores.shape} must be of one length")
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError("scores must lie between 0 and 1")
    counts = confusion(decide(scores, threshold), y == 1)
    votes = {name: metric(name, counts) for name in VOTE_METRICS}
    tn, fp, fn, tp = map(int, counts)
    return Metrics(
        tn=tn, fp=fp, fn=fn, tp=tp, **_defined(votes | _ranking(y, scores) | _errors(y, scores))
    )


def cuts(y: Labels | NDArray[np.bool_], scores: NDArray[np.floating]) -> Cuts:
    """One sort; rows of equal score fall on the same side of every cut."""
    order = np.argsort(scores)[::-1]
    ranked = scores[order]
    ends = np.flatnonzero(np.diff(ranked, append=np.float32(-1)))
    tp = np.cumsum(y[order] == 1)[ends]
    fp = ends + 1 - tp
    return Cuts(ranked[ends], *(np.concatenate(([0.0], counts)) for counts in (tp, fp)))


def auc(y: Labels, scores: Scores) -> float | None:
    """The area under the ROC curve alone, None when only one class is present."""
    return _defined(_ranking(y, scores))["auc"]


def _ranking(y: Labels, scores: Scores) -> dict[str, Floats]:
    cut = cuts(y, scores)
    tp, fp = cut.tp, cut.fp
    ones, zeros = tp[-1], fp[-1]
    # Twice the Mann-Whitney count: whole numbers, so that no order of summing matters.
    wins = np.sum(np.diff(fp) * (tp[1:] + tp[:-1]))
    area = _divide(wins, 2 * ones * zeros)
    apart = _divide(np.max(np.abs(tp * zeros - fp * ones)), ones * zeros)
    precise = np.sum(np.diff(tp) * _divide(tp[1:], tp[1:] + fp[1:]))
    return {
        "auc": area,
        "gini": 2 * area - 1,
        "ks": apart,
        "pr_auc": _divide(precise, ones),
    }


def _errors(y: Labels, scores: Scores) -> dict[str, Floats]:
    wide = scores.astype(np.float64)
    smallest = np.finfo(np.float64).eps
    chance = np.clip(np.where(y == 1, wide, 1 - wide), smallest, 1 - smallest)
    rows = np.float64(y.size)
    return {
        "brier": _divide(np.sum((wide - y) ** 2), rows),
        "log_loss": _divide(-np.sum(np.log(chance)), rows),
    }


def _divide(above: ArrayLike, below: ArrayLike) -> Floats:
    """NaN, silently, where the divisor is zero."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    out: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out


def _defined(values: dict[str, Floats]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}
