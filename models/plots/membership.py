"""Which models the best ensembles are made of."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from configs.wording import counted
from models.plots.canvas import FIRST, GRID, INK, OTHERS, SECOND, SOFT, blank, legend_below, png

_ALL_NAMED = 60
_NAMED_ABREAST = 8


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
    return f"{kind}   {counted(len(shares), 'model')}, mean {shares.mean():.1%}"


def _name_models(axes: Axes, names: Sequence[str], kinds: Sequence[str]) -> None:
    """Name each model below its place, or if they are too many, the first of each kind."""
    every = len(names) <= _ALL_NAMED
    named = [i for i in range(len(names)) if every or kinds[i] != kinds[i - 1] or i == 0]
    upright = len(names) > _NAMED_ABREAST
    axes.set_xticks(named, [names[i] for i in named], rotation=90 if upright else 0, size=7.5)
    which = "each" if every else "the first"
    axes.set_xlabel(
        f"models, by kind and share, {which} named batch/model/variant; grey: by chance"
    )
