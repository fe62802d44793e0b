"""A metric over all ensembles, above the methods side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from models.plots.canvas import FIRST, SECOND, SOFT, head, legend_above, png, stacked

_HALF_OF_ONE = 0.5
"""Where the count's axis begins, so that a bin of one ensemble has a height."""


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
    above.set_ylabel("ensembles in the bin (logarithmic)")
    # The best of a million is alone in its bin: on a linear scale nobody would see it.
    above.set_yscale("log")
    above.set_ylim(_HALF_OF_ONE, 2 * max([1, *valid.n, *test.n]))
    above.tick_params(labelbottom=False)
    above.yaxis.set_major_locator(LogLocator())
    above.yaxis.set_minor_locator(NullLocator())
    above.yaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    if not (valid.n.size or test.n.size):
        says = f"{metric} is undefined for all ensembles"
        above.text(0.5, 0.5, says, color=SOFT, ha="center", transform=above.transAxes)
    winner = next((mark for mark in marks if mark.winner), None)
    dotted: dict[str, Any] = {"linewidth": 1.0, "linestyle": (0, (2, 2))}
    for value, colour, part in _of_winner(winner):
        above.axvline(value, color=colour, zorder=1, label=f"the answer on {part}", **dotted)
        below.axvline(value, color=colour, zorder=1, **dotted)
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


def _of_winner(winner: Mark | None) -> list[tuple[float, str, str]]:
    if winner is None:
        return []
    ends = ((winner.valid, FIRST, "valid"), (winner.test, SECOND, "test"))
    return [(value, colour, part) for value, colour, part in ends if value is not None]


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
