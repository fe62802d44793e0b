"""Every cut of the methods' scores, what it finds and what it costs: on the left all of them, on
the right those near the decisions, where methods lie close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from configs.wording import counted
from models.kind import Labels, Scores
from models.metrics import confusion
from models.plots.canvas import FAINT, FIRST, INK, OTHERS, SOFT, key, paired, png
from models.scores import auc, cuts

_FEW = 60
"""A method with no more cuts has a point for each: nothing can be had in between."""
_LEAST = 0.05
"""What the neighbourhood of the decisions shows at least, to either side of its middle."""

Look = dict[str, Any]

_ANSWER: Look = {"color": FIRST, "linewidth": 3.2, "marker": "o", "markersize": 12}
# Drawn over the answer, so thinner; told apart by dashes and marks too, not by colour alone.
_NAMED: tuple[Look, ...] = (
    {"color": OTHERS[2], "linewidth": 1.6, "marker": "s", "markersize": 6.5},
    {"color": INK, "linewidth": 1.3, "marker": "^", "markersize": 6.5, "linestyle": (0, (4, 2))},
    {
        "color": OTHERS[1],
        "linewidth": 1.3,
        "marker": "D",
        "markersize": 5.5,
        "linestyle": (0, (1, 1)),
    },
)
_OTHER: Look = {"color": FAINT, "linewidth": 1.0, "marker": "o", "markersize": 4.5}
_GUIDE: Look = {"color": SOFT, "linewidth": 0.8, "linestyle": (0, (4, 4))}

_MARKS = "large marks: the decision; points: the cuts of a method that has few"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A method's scores on the rows of one part, and the decision it makes of them.

    The winner and those `named` have colours of their own; the others are their background.
    """

    label: str
    scores: Scores
    called: NDArray[np.bool_]
    winner: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """A curve with the places of its cuts and its decision, and what the legend says of it."""

    curve: Curve
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    dot: tuple[float, float] | None
    words: str


def roc(y: Labels, curves: Sequence[Curve], *, subtitle: str) -> bytes:
    """Receiver operating characteristic of each curve, with its decision as a mark."""
    figure, panels, top = paired("How well the methods rank", subtitle)
    ones, zeros = _sizes(y)
    drawn = []
    for curve in curves:
        cut, area = cuts(y, curve.scores), auc(y, curve.scores)
        hit, missed = _hits(y, curve)
        drawn.append(
            _Drawn(
                curve=curve,
                x=cut.fp / zeros,
                y=cut.tp / ones,
                dot=(missed / zeros, hit / ones),
                words=f"{curve.label}   {'none' if area is None else format(area, '.4f')}",
            )
        )
    for axes in panels:
        axes.plot([0, 1], [0, 1], **_GUIDE)
        axes.set_xlabel("share of the zeros called 1 (false positive rate)")
    panels[0].set_ylabel("share of the ones called 1 (recall)")
    _draw(panels, drawn, "default")
    key(top, _handles(drawn), "after a name: area under its curve", _MARKS)
    return png(figure)


def precision_recall(y: Labels, curves: Sequence[Curve], *, subtitle: str) -> bytes:
    """Precision at the recall of every cut of each curve, with its decision as a mark.

    The last cut, which calls every row 1, is the same for all: the dashed line. No curve is drawn
    up to it: that of a vote, which has few cuts, would seem to fall.
    """
    figure, panels, top = paired("How precise the methods are", subtitle)
    ones, zeros = _sizes(y)
    drawn = []
    for curve in curves:
        cut = cuts(y, curve.scores)
        tp, fp = cut.tp[1:-1], cut.fp[1:-1]
        hit, missed = _hits(y, curve)
        few = 0 < len(tp) <= _FEW
        reach = f"   recall {tp[0] / ones:.2f} to {tp[-1] / ones:.2f}" if few else ""
        drawn.append(
            _Drawn(
                curve=curve,
                x=tp / ones,
                y=tp / (tp + fp),
                dot=(hit / ones, hit / (hit + missed)) if hit + missed else None,
                words=f"{curve.label}{reach}",
            )
        )
    rate = ones / (ones + zeros)
    for axes in panels:
        axes.axhline(rate, **_GUIDE)
        axes.set_xlabel("share of the ones called 1 (recall)")
    panels[0].set_ylabel("share of ones among those called 1 (precision)")
    # There is no straight line between two cuts: more recall is only had by the next cut.
    _draw(panels, drawn, "steps-pre")
    base = Line2D([], [], **_GUIDE, label=f"all called 1   {rate:.3f}")
    key(
        top,
        [*_handles(drawn), base],
        f"{_MARKS}, the recall of the first and the last after its name",
    )
    return png(figure)


def _draw(panels: Sequence[Axes], drawn: Sequence[_Drawn], style: Any) -> None:
    """The same in both panels; the second is limited to the neighbourhood of the decisions."""
    whole, near = panels
    for axes in panels:
        axes.set_aspect("equal")
        for order, (one, look) in enumerate(_in_order(drawn)):
            line = {name: look[name] for name in look if not name.startswith("marker")}
            mark = {name: look[name] for name in ("color", "marker", "markersize")}
            over = 3 + order
            axes.plot(one.x, one.y, drawstyle=style, zorder=over, **line)
            if len(one.x) <= _FEW:
                point = mark | {"markersize": 2 + look["linewidth"], "marker": "o"}
                axes.plot(one.x, one.y, linestyle="", mec="white", mew=0.3, zorder=over, **point)
            if one.dot:
                axes.plot(*one.dot, **mark, mec="white", mew=0.9, zorder=over + len(drawn))
    whole.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    x, y, side = _neighbourhood([one.dot for one in drawn if one.dot])
    near.set(xlim=(x, x + side), ylim=(y, y + side))
    near.set_title("near the decisions", size=9, color=SOFT, loc="left")
    whole.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=SOFT, linewidth=0.8))


def _neighbourhood(dots: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """A square about all dots: its lower left corner and its side."""
    found = np.array(dots or [(0.5, 0.5)])
    low, high = found.min(axis=0), found.max(axis=0)
    half = min(max(_LEAST, 0.75 * float((high - low).max())), 0.51)
    x, y = np.clip((low + high) / 2 - half, -0.01, 1.01 - 2 * half)
    return float(x), float(y), 2 * half


def _in_order(drawn: Sequence[_Drawn]) -> list[tuple[_Drawn, Look]]:
    """From the background to the front: the others, the answer, then what is thin enough to lie
    on it and leave it seen.
    """
    named = iter(_NAMED)
    others = [(one, _OTHER) for one in drawn if not (one.curve.winner or one.curve.named)]
    answer = [(one, _ANSWER) for one in drawn if one.curve.winner]
    told = [one for one in drawn if one.curve.named and not one.curve.winner]
    return [*others, *answer, *((one, next(named, _OTHER)) for one in told)]


def _handles(drawn: Sequence[_Drawn]) -> list[Line2D]:
    """A name for each curve with a colour of its own, and one for all others."""
    told = [
        Line2D([], [], **look, mec="white", label=one.words)
        for one, look in _in_order(drawn)
        if look is not _OTHER
    ]
    others = len(drawn) - len(told)
    rest = counted(others, "other method")
    return [*told, Line2D([], [], **_OTHER, label=rest)] if others else told


def _sizes(y: Labels) -> tuple[int, int]:
    """Ones and zeros, never 0, so that every share of a class that is not there is 0."""
    ones = int(np.count_nonzero(y == 1))
    return max(ones, 1), max(y.size - ones, 1)


def _hits(y: Labels, curve: Curve) -> tuple[int, int]:
    _, fp, _, tp = map(int, confusion(curve.called, y == 1))
    return tp, fp
