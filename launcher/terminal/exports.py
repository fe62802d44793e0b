"""What programs read of a command: rows as CSV or JSON, every column whole."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from io import TextIOWrapper
from typing import Annotated, Any, TextIO

import typer

from launcher.terminal.lines import harmless


class Format(Enum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print.")]


def export(names: Sequence[str], rows: Iterable[Mapping[str, Any]], form: Format) -> None:
    """Print of each row what has these names. They are the heading of a CSV, also of one without
    rows: programs go by it.
    """
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        # As every file, whatever the locale.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if form is Format.CSV:
        write_csv(names, ([row[name] for name in names] for row in rows), sys.stdout)
        return
    named = [{name: row[name] for name in names} for row in rows]
    text = json.dumps(named, ensure_ascii=False, indent=1, default=_plain)
    sys.stdout.write(f"{_fit_for(sys.stdout)(text)}\n")


def write_csv(names: Iterable[str], rows: Iterable[Iterable[Any]], stream: TextIO) -> None:
    """Rows of values, as many as there are names."""
    shown = _fit_for(stream)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = map(_plain, row)
        writer.writerow(shown(each) if isinstance(each, str) else each for each in values)


def _fit_for(stream: TextIO) -> Callable[[str], str]:
    """Programs take text as it is; a terminal must not be steered by it."""
    return harmless if stream.isatty() else str


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):  # SQLite keeps them in columns of text, too
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value
