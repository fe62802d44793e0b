"""What a terminal shows: tables that fit it, and progress."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column as Cells
from rich.table import Table
from rich.text import Text

from launcher.terminal.durations import in_utc
from launcher.terminal.lines import harmless, remark

CUT = 120
"""Where there is no terminal, prose is cut after so many columns: one long error would make every
line as long.
"""

_UNBOUNDED = 100_000
_LEAST = 20  # columns of a text that can be read
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: `name` is its key in a row, `header` what people read.

    Numbers stand to the right; `text` stands to the left, and is broken only where a table fits in
    no other way; `prose` does so too and may be broken into lines where space is short, into at
    most `lines` of them: the rest is cut. Narrower than `least` it is hard to read. `wide` ones are
    left out, the last first, where the terminal is too narrow for all.
    """

    name: str
    header: str
    digits: int | None = None
    wide: bool = False
    text: bool = False
    prose: bool = False
    lines: int | None = None
    least: int = 20


@dataclass(frozen=True, slots=True)
class _Brief:
    """A text of at most so many lines, however narrow its column will be."""

    text: Text
    lines: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = self.text.wrap(console, options.max_width)
        for line in found:
            line.rstrip()  # wrapping leaves the space before a break
        yield from found[: self.lines - 1]
        if last := Text(" ").join(found[self.lines - 1 :]):
            last.truncate(options.max_width, overflow="ellipsis")
            yield last

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self.text)


class Bar(Protocol):
    """Takes progress from 0 to 1 and a few words."""

    def __call__(self, share: float, note: str) -> None: ...


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; where there is none, lines are never broken."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNBOUNDED
    return Console(file=stream, width=width, soft_wrap=not stream.isatty(), highlight=False)


def show(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    title: str | None = None,
    empty: str = "nothing to show",
) -> None:
    """Print rows as a table, or what there is to say where there are none."""
    if not rows:
        remark(empty)
        return
    output = console()
    if title:
        output.print(Text(harmless(title)))
    shown = fitting(rows, columns, output.width)
    output.print(table(rows, shown, output.width))
    if away := [column.header for column in columns if column not in shown]:
        output.print(f"left out to fit: {', '.join(away)}; --format csv has all", markup=False)


def show_beside(begin: str, text: str) -> None:
    """A text, broken into lines that stand behind what begins it."""
    output, indent = console(), cell_len(begin)
    lines = Text(harmless(text)).wrap(output, max(output.width - indent, _LEAST))
    for number, line in enumerate(lines):
        line.rstrip()  # wrapping leaves the space before a break
        output.print(Text.assemble(begin if number == 0 else " " * indent, line))


@contextmanager
def progress(words: str, *, at_once: bool = True) -> Iterator[Bar]:
    """A bar on stderr, with no time but what its note tells; where that is no terminal, a line for
    each new note. If not `at_once`, lines begin when something is done: an error that comes before
    is one line alone.
    """
    terminal = console(stderr=True)
    if not terminal.is_terminal:
        yield _Lines(words, at_once)
        return
    columns = (
        TextColumn("{task.fields[words]}", markup=False),
        BarColumn(bar_width=10),
        TextColumn("{task.percentage:>3.0f}%"),
        # It takes the room that the others leave, and it alone is cut.
        TextColumn("{task.fields[note]}", markup=False, table_column=Cells(ratio=1, no_wrap=True)),
    )
    with Progress(*columns, console=terminal, transient=True, expand=True) as bars:
        task = bars.add_task("", total=1.0, words=words, note="")

        def update(share: float, note: str) -> None:
            bars.update(task, completed=share, note=harmless(note))

        yield update


class _Lines:
    def __init__(self, words: str, at_once: bool) -> None:
        self._words = words
        self._at_once = at_once
        self._last: tuple[int, str] | None = None

    def __call__(self, share: float, note: str) -> None:
        now = int(share * 10), note
        if now != self._last and (share or self._at_once):
            self._last = now
            line = f"{self._words}: {share:4.0%} {note}".rstrip()
            remark(line)


def fitting(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int
) -> list[Column]:
    """The columns that a terminal of this width has room for."""
    shown = list(columns)
    for column in reversed([column for column in columns if column.wide]):
        if _fits(rows, shown, width):
            break
        shown.remove(column)
    return shown


def _fits(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int) -> bool:
    return sum(_width(rows, column) + _GAP for column in columns) - _GAP <= width


def _width(rows: Sequence[Mapping[str, Any]], column: Column) -> int:
    longest = max(_cell(row.get(column.name), column).cell_len for row in rows)
    return max(min(longest, column.least) if column.prose else longest, cell_len(column.header))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int) -> Table:
    """Rows as they are shown on a terminal of this width."""
    cut = width >= _UNBOUNDED
    tight = not _fits(rows, columns, width)  # long names must not push the figures out
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        grid.add_column(
            column.header,
            justify="left" if column.text or column.prose else "right",
            no_wrap=cut or not (column.prose or (tight and column.text)),
            overflow="ellipsis" if cut and column.prose else "fold",
            max_width=CUT if cut and column.prose else None,
        )
    for row in rows:
        cells = [_cell(row.get(column.name), column) for column in columns]
        grid.add_row(
            *(
                _Brief(cell, column.lines) if column.lines and not cut else cell
                for cell, column in zip(cells, columns, strict=True)
            )
        )
    return grid


def _cell(value: Any, column: Column) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, float) and column.digits is not None:
        return Text(f"{value:.{column.digits}f}")
    if isinstance(value, datetime):
        return Text(in_utc(value))
    return Text(harmless(str(value)))
