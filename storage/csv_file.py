"""CSV files as Arrow tables of texts, with errors that name the line."""

import codecs
import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from configs.errors import BadData
from configs.wording import counted

NULL_WORDS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "\\N")
"""What means a missing value in any column of a CSV file, besides cells of blanks only."""

_DELIMITERS = (",", ";", "\t", "|")
_LONGEST = 1 << 26  # characters of one value; what is longer has lost its closing quote
_LARGEST_BLOCK = 2**31 - 1
_OTHERS = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive; save its sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save its sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed; unpack it first, with gunzip",
    b"PAR1\x15": "a Parquet file; give it a name that ends in .parquet",
}
"""The first bytes of files that people take for CSV."""


class CsvReader:
    """A Reader of storage.files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.names, self._delimiter = _header(path)
        self.size = path.stat().st_size
        # A record longer than a block is in one piece in a block of the whole file.
        self._long = False

    def read(self, names: Sequence[str]) -> pa.Table:
        path = self._path
        try:
            table = self._parse(names)
        except pa.ArrowInvalid:
            _name_bad_bytes(path)
            self._long = True
            try:
                table = self._parse(names)
            except pa.ArrowInvalid as error:
                _name_bad_line(path, self._delimiter, len(self.names))
                raise BadData(f"{path}: {error}") from error
        except pa.ArrowKeyError:  # it reads the first line otherwise than we did
            table = pa.table({})
        if table.column_names != list(names):
            raise BadData(f"{path}: line 1 cannot be read as names of columns")
        return pa.table(
            [_without_blanks(values) for values in table.columns], names=table.column_names
        )

    def _parse(self, names: Sequence[str]) -> pa.Table:
        options = arrow_csv.ReadOptions()
        if self._long:
            options = arrow_csv.ReadOptions(
                use_threads=False, block_size=min(self.size + 1, _LARGEST_BLOCK)
            )
        return arrow_csv.read_csv(
            self._path,
            read_options=options,
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=NULL_WORDS,
                include_columns=None if len(names) == len(self.names) else list(names),
            ),
        )


def _header(path: Path) -> tuple[list[str], str]:
    with path.open("rb") as file:
        first = file.readline()
    for beginning, what in _OTHERS.items():
        if first.startswith(beginning):
            raise BadData(f"{path}: this is no CSV file but {what}")
    if not first.strip():
        raise BadData(f"{path}: line 1 is empty; it must name the columns")
    try:
        line = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        _name_bad_bytes(path)
        raise
    delimiter = next((sign for sign in _DELIMITERS if sign in line), ",")
    _check_quotes(path, delimiter)
    with _opened(path) as text:
        return next(csv.reader(text, delimiter=delimiter)), delimiter


def _opened(path: Path) -> TextIO:
    """For csv.reader, whose own limit of 131,072 characters a value may exceed."""
    csv.field_size_limit(_LONGEST)
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _name_bad_bytes(path: Path) -> None:
    """Raise BadData for the first line that is not UTF-8, if there is one."""
    with path.open("rb") as file:
        marked = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        found = "UTF-16" if marked else "CP949"
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if number > 1 and error.reason == "unexpected end of data":
                    # Only what follows could make it whole, and a line's end would have followed.
                    raise BadData(
                        f"{path}: the file ends in the middle of a character, in line {number}; it "
                        "was cut off, or is not UTF-8: copy it again, or convert it first"
                    ) from None
                raise BadData(
                    f"{path}: line {number} is not UTF-8 (byte {line[error.start]:#04x}); convert "
                    f"the file first, for example: iconv -f {found} -t UTF-8 {path.name}"
                ) from None


def _name_bad_line(path: Path, delimiter: str, expected: int) -> None:
    """Raise BadData for the first record that has another number of values than the header, if
    there is one.
    """
    with _opened(path) as text:
        reader = csv.reader(text, delimiter=delimiter)
        with suppress(csv.Error):
            for record in reader:
                if record and len(record) != expected:
                    raise BadData(
                        f"{path}: line {reader.line_num} has "
                        f"{counted(len(record), 'value')}, but the header names "
                        f"{counted(expected, 'column')}"
                    )


def _check_quotes(path: Path, delimiter: str) -> None:
    """Refuse a quote that is never closed: the rest of the file would be one value. One amid a
    value, as in 15" wheels, opens nothing.
    """
    size = 1 << 24
    with path.open("rb") as file:
        quotes = sum(block.count(b'"') for block in iter(lambda: file.read(size), b""))
    if quotes % 2 == 0:
        return
    started = 1
    with _opened(path) as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        with suppress(csv.Error):
            for _ in reader:
                started = reader.line_num + 1
            return
    raise BadData(f'{path}: line {started} opens a quote (") that is never closed')


def _without_blanks(values: pa.ChunkedArray) -> pa.ChunkedArray:
    blank = pc.equal(pc.utf8_trim_whitespace(values), "")
    return pc.if_else(blank, None, values) if pc.any(blank).as_py() else values
