"""Pictures for reports: arrays in, PNG bytes out. Equal input gives equal bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from models.canvas import (
    FIRST,
    GRID,
    INK,
    OTHERS,
    SECOND,
    SOFT,
    blank,
    head,
    legend,
    legend_above,
    legend_below,
    png,
    stacked,
)
from models.kind import Labels, Scores
from models.scores import auc, cuts

_ALL_NAMED = 60
_NAMED_ABREAST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A method's scores on the rows of one part, and the decision it makes of them."""

    label: str
    scores: Scores
    called: NDArray[np.bool_]
    winner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """How many ensembles have a metric from `start[i]` up to `end[i]`."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    n: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One method's metric on valid and on test, with its interval there; None: undefined."""

    label: str
    valid: float | None
    test: float | None
    low: float | None
    high: float | None
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


def distribution(
    valid: Bars, test: Bars, marks: Sequence[Mark], *, metric: str, subtitle: str
) -> bytes:
    """The metric over all ensembles on valid and on test, above the methods side by side.

    The winner is the far end of the first; where it stands in the second shows what of that was
    luck.
    """
    height = 4.0 + 0.34 * len(marks)
    figure, (above, below) = stacked(8.6, height, [3.0, 0.34 * len(marks) + 0.3])
    head(figure, f"{metric} of all ensembles, and of the methods", subtitle)
    for bars, colour, label in ((valid, FIRST, "valid"), (test, SECOND, "test")):
        if not bars.n.size:
            continue
        edges = np.append(bars.start, bars.end[-1])
        above.stairs(bars.n, edges, fill=True, color=colour, alpha=0.28, linewidth=0)
        above.stairs(bars.n, edges, color=colour, linewidth=1.2, label=f"all ensembles on {label}")
    above.set_ylabel("ensembles in the bin")
    above.set_ylim(bottom=0)
    above.tick_params(labelbottom=False)
    above.yaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    above.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    if not (valid.n.size or test.n.size):
        says = f"{metric} is undefined for all ensembles"
        above.text(0.5, 0.5, says, color=SOFT, ha="center", transform=above.transAxes)
    winner = next((mark for mark in marks if mark.winner), None)
    dotted: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (2, 2))}
    for axes in (above, below):
        for value, colour in _of_winner(winner):
            axes.axvline(value, color=colour, zorder=1, **dotted)
    if winner:
        above.plot([], [], color=INK, label="the answer", **dotted)
    for row, mark in enumerate(marks):
        _dumbbell(below, -row, mark)
    below.set_yticks(range(0, -len(marks), -1), [mark.label for mark in marks])
    for tick, mark in zip(below.get_yticklabels(), marks, strict=True):
        tick.set_fontweight("bold" if mark.winner else "normal")
    below.set_ylim(-len(marks) + 0.4, 0.6)
    below.set_xlabel(f"{metric}   (ring: valid, dot and figure: test, bar: 95 % interval on test)")
    below.grid(visible=False, axis="y")
    legend_above(above)
    return png(figure)


def membership(
    share: NDArray[np.float64],
    kinds: Sequence[str],
    names: Sequence[str],
    *,
    chance: float,
    band: tuple[float, float],
    subtitle: str,
) -> bytes:
    """In what share of the best ensembles' rounds each model votes, by kind.

    `chance` is the share that drawing gives every model; `band` is where shares lie by chance.
    """
    figure, axes = blank(8.6, 4.8, "Which models the best ensembles are made of", subtitle)
    axes.axhspan(*band, color=GRID, alpha=0.8, zorder=0, linewidth=0)
    axes.axhline(chance, color=SOFT, linewidth=0.9, zorder=1)
    found = sorted(set(kinds))
    colours = dict(zip(found, (FIRST, SECOND, *OTHERS), strict=False))
    order = sorted(range(len(kinds)), key=lambda i: (kinds[i], -share[i], names[i]))
    place = {model: x for x, model in enumerate(order)}
    for kind in found:
        members = [i for i in order if kinds[i] == kind]
        x = np.array([place[i] for i in members])
        colour = colours.get(kind, INK)
        label = in_words(kind, share[members])
        axes.scatter(x, share[members], s=16, color=colour, linewidth=0, label=label, zorder=3)
        axes.vlines(x, chance, share[members], color=colour, linewidth=0.8, alpha=0.5, zorder=2)
    axes.set_xlim(-1, len(kinds))
    _name_models(axes, [names[i] for i in order], [kinds[i] for i in order])
    axes.set_ylabel("share of the rounds it votes in")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.grid(visible=False, axis="x")
    legend_below(figure)
    return png(figure)


def in_words(kind: str, shares: NDArray[np.float64]) -> str:
    """What membership says of a kind."""
    models = "1 model" if len(shares) == 1 else f"{len(shares)} models"
    return f"{kind}   {models}, mean {shares.mean():.1%}"


def _name_models(axes: Axes, names: Sequence[str], kinds: Sequence[str]) -> None:
    """Below its place each model, or where they are too many, the first of each kind."""
    every = len(names) <= _ALL_NAMED
    named = [i for i in range(len(names)) if every or kinds[i] != kinds[i - 1] or i == 0]
    upright = len(names) > _NAMED_ABREAST
    axes.set_xticks(named, [names[i] for i in named], rotation=90 if upright else 0, size=7.5)
    which = "each" if every else "the first"
    axes.set_xlabel(
        f"models, by kind and share, {which} named batch/model/variant; grey: by chance"
    )


def _sizes(y: Labels) -> tuple[int, int]:
    """Ones and zeros, never 0: of a class that is not there every share is 0."""
    ones = int(np.count_nonzero(y == 1))
    return max(ones, 1), max(y.size - ones, 1)


def _hits(y: Labels, curve: Curve) -> tuple[int, int]:
    tp = int(np.count_nonzero(curve.called & (y == 1)))
    return tp, int(np.count_nonzero(curve.called)) - tp


def _of_winner(winner: Mark | None) -> list[tuple[float, str]]:
    if winner is None:
        return []
    ends = ((winner.valid, FIRST), (winner.test, SECOND))
    return [(value, colour) for value, colour in ends if value is not None]


def _dumbbell(axes: Axes, y: float, mark: Mark) -> None:
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [y, y], color=SECOND, alpha=0.35, linewidth=5, zorder=2)
    if mark.valid is not None:
        axes.plot(mark.valid, y, "o", markersize=7, color="white", mec=FIRST, mew=1.6, zorder=3)
    if mark.test is not None:
        axes.plot(mark.test, y, "o", markersize=6, color=SECOND, zorder=4)
        axes.annotate(
            f"{mark.test:.4f}",
            (1, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            size=8.5,
            color=SECOND,
            weight="bold" if mark.winner else "normal",
            annotation_clip=False,
        )


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
