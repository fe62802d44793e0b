"""The paper that pictures are drawn on: one look for all, no state outside a figure. Arrays in, PNG
bytes out, and equal input gives equal bytes.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

INK = "#1f2933"
SOFT = "#7b8794"
FAINT = "#b4bcc6"
GRID = "#e4e7eb"
FIRST = "#0b5fa5"
"""The winner's colour, and the colour of the rows that chose it."""
SECOND = "#d9480f"
"""Of the rows that nothing was chosen on."""
# After Okabe and Ito, for eyes of every kind.
OTHERS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#6b7280", "#b8b000")

_DPI = 150
_MARGIN = 0.12  # inches left and right


def _layout() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=_MARGIN)


def blank(width: float, height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=_layout(), facecolor="white")
    axes = figure.add_subplot()
    _bare(axes)
    head(figure, title, subtitle)
    return figure, axes


def stacked(width: float, height: float, ratios: list[float]) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=_layout(), facecolor="white")
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    for axes in panels:
        _bare(axes)
    return figure, panels


def paired(title: str, subtitle: str) -> tuple[Figure, Sequence[Axes], Axes]:
    """Two squares side by side, and above both the room for their legend."""
    figure = Figure(figsize=(10.6, 6.3), dpi=_DPI, layout=_layout(), facecolor="white")
    found = figure.subplot_mosaic("kk;lr", height_ratios=[1, 9])
    panels = found["l"], found["r"]
    for axes in panels:
        _bare(axes)
    found["k"].set_axis_off()
    head(figure, title, subtitle)
    return figure, panels, found["k"]


def _bare(axes: Axes) -> None:
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(colors=INK, labelsize=8.5, length=3)
    axes.xaxis.label.set(color=INK, size=9.5)
    axes.yaxis.label.set(color=INK, size=9.5)


def head(figure: Figure, title: str, subtitle: str) -> None:
    figure.suptitle(f"{title}\n", x=0.01, ha="left", size=12.5, weight="bold", color=INK)
    figure.text(0.01, 0.98 - 0.23 / figure.get_figheight(), subtitle, size=9, color=SOFT, va="top")


def key(room: Axes, handles: Sequence[Line2D], *notes: str) -> None:
    """A legend in a room of its own."""
    box = room.legend(
        handles=handles,
        loc="center left",
        ncols=3,
        frameon=False,
        fontsize=8.5,
        borderpad=0,
        handlelength=3.2,
        alignment="left",
    )
    box.set_title("; ".join(notes))
    box.get_title().set(fontsize=8, color=SOFT)


def legend_above(axes: Axes) -> None:
    """Outside of the axes, so that it never covers what is drawn; none if nothing has a name."""
    if axes.get_legend_handles_labels()[0]:
        anchor: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderpad": 0}
        axes.legend(**anchor, ncols=4, frameon=False, fontsize=8.5, columnspacing=1.4)


def legend_below(figure: Figure) -> None:
    """Outside, as `legend_above`, with room for more."""
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)


def png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
