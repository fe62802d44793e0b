"""Every cut of the methods' scores: what it finds, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from models.kind import Labels, Scores
from models.plots.canvas import FIRST, INK, OTHERS, SOFT, blank, legend, legend_below, png
from models.scores import auc, cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A method's scores on the rows of one part, and the decision it makes of them."""

    label: str
    scores: Scores
    called: NDArray[np.bool_]
    winner: bool = False


def roc(y: Labels, curves: Sequence[Curve], *, subtitle: str) -> bytes:
    """Receiver operating characteristic of each curve, with its decision as a dot."""
    figure, axes = blank(6.8, 6.4, "How well the methods rank", subtitle)
    ones, zeros = _sizes(y)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=(0, (4, 4)))
    for curve, look in zip(curves, _looks(curves), strict=True):
        cut = cuts(y, curve.scores)
        area = auc(y, curve.scores)
        label = f"{curve.label}   {'none' if area is None else format(area, '.4f')}"
        axes.plot(cut.fp / zeros, cut.tp / ones, label=label, **look)
        tp, fp = _hits(y, curve)
        _dot(axes, fp / zeros, tp / ones, look)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("share of the zeros called 1")
    axes.set_ylabel("share of the ones called 1 (recall)")
    legend(axes, "lower right", "area under the curve; dots: the decision")
    return png(figure)


def precision_recall(y: Labels, curves: Sequence[Curve], *, subtitle: str) -> bytes:
    """Precision at every recall of each curve, with its decision as a dot."""
    figure, axes = blank(6.8, 6.4, "How precise the methods are", subtitle)
    ones, zeros = _sizes(y)
    rate = ones / (ones + zeros)
    for curve, look in zip(curves, _looks(curves), strict=True):
        cut = cuts(y, curve.scores)
        precision = cut.tp[1:] / (cut.tp[1:] + cut.fp[1:])
        # Between two cuts no straight line leads: precision holds until the next cut.
        axes.step(cut.tp / ones, np.append(precision[:1], precision), label=curve.label, **look)
        hit, missed = _hits(y, curve)
        if hit + missed:
            _dot(axes, hit / ones, hit / (hit + missed), look)
    axes.set(xlim=(-0.01, 1.01), ylim=(0, 1.02))
    axes.set_xlabel("share of the ones called 1 (recall)")
    axes.set_ylabel("share of ones among those called 1 (precision)")
    label = f"all called 1: {rate:.3f}"
    axes.axhline(rate, color=SOFT, linewidth=0.8, linestyle=(0, (4, 4)), label=label)
    legend_below(figure, "dots: the decision")
    return png(figure)


def _sizes(y: Labels) -> tuple[int, int]:
    """Ones and zeros, never 0: of a class that is not there every share is 0."""
    ones = int(np.count_nonzero(y == 1))
    return max(ones, 1), max(y.size - ones, 1)


def _hits(y: Labels, curve: Curve) -> tuple[int, int]:
    tp = int(np.count_nonzero(curve.called & (y == 1)))
    return tp, int(np.count_nonzero(curve.called)) - tp


def _looks(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """A curve that lies on an earlier one has gaps, through which that shows."""
    others = iter(OTHERS)
    looks: list[dict[str, Any]] = []
    for number, curve in enumerate(curves):
        if curve.winner:
            look: dict[str, Any] = {"color": FIRST, "linewidth": 2.2, "zorder": 5}
        else:
            look = {"color": next(others, INK), "linewidth": 1.1, "zorder": 3}
        if any(np.array_equal(curve.scores, other.scores) for other in curves[:number]):
            look |= {"linestyle": (0, (4, 4)), "zorder": 6}
        looks.append(look)
    return looks


def _dot(axes: Axes, x: float, y: float, look: dict[str, Any]) -> None:
    over = look["zorder"] + 4  # above all curves, the winner's above all dots
    size = 4 + 2 * look["linewidth"]
    axes.plot(x, y, "o", color=look["color"], markersize=size, mec="white", mew=0.8, zorder=over)
