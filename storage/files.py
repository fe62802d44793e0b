"""CSV and Parquet files as Arrow tables of texts and numbers, some columns at a time."""

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import BadData
from storage.csv_file import CsvReader
from storage.table_names import check_names

_PARQUET = (".parquet", ".pq")
_MOST_PARTS = 20
"""Or a huge CSV file would take longer with each byte of it."""
_AT_ONCE = 40 * 2**20
"""Bytes of a file whose columns are read together. A CSV file is parsed again for each such part,
half a second for 400 MB of it; all its texts at once would take thrice what its numbers take.
"""


class Reader(Protocol):
    """Of one kind of file."""

    names: list[str]
    """Of its columns, as the file has them."""

    size: int
    """About how many bytes all columns take."""

    def read(self, names: Sequence[str]) -> pa.Table:
        """These columns, in the order of the file."""
        ...


class File:
    """Its columns. A CSV file's are all string, null where missing; a Parquet file's are as they
    are. The first line of a CSV file names the columns; it is UTF-8, separated by comma, semicolon,
    tab or bar.

    Raises:
        BadData: no such file, another kind of file, not UTF-8, bad names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path):
            self._found = self._state()
            is_parquet = path.suffix.lower() in _PARQUET
            self._reader: Reader = ParquetReader(path) if is_parquet else CsvReader(path)
        self.names = composed(self._reader.names)
        """In NFC."""
        check_names(self.names, str(path))

    def parts(self) -> Iterator[pa.Table]:
        """All columns, in order, some in each part; to be let go of before the next one is read.

        Raises:
            BadData: it cannot be read, a line has too many or few values, or there are no rows.
        """
        names = self._reader.names
        count = min(len(names), math.ceil(self._reader.size / _AT_ONCE), _MOST_PARTS) or 1
        cuts = [len(names) * number // count for number in range(count + 1)]
        for first, last in itertools.pairwise(cuts):
            with _readable(self._path), self._unchanged():
                part = self._reader.read(names[first:last])
            if part.num_rows == 0:
                raise BadData(f"{self._path}: the file has no rows")
            yield part.rename_columns(self.names[first:last])
            del part

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._state() != self._found:
                raise BadData(f"{self._path}: the file was changed while it was read; try again")

    def _state(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size


def composed(names: Iterable[str]) -> list[str]:
    """Names in NFC, as `storage.column_kinds.composed` has values."""
    return [unicodedata.normalize("NFC", name) for name in names]


class ParquetReader:
    def __init__(self, path: Path) -> None:
        """A folder of several files is read as a whole: some columns are found by their names."""
        self._path = path
        self.size = 0
        with _parquet(path):
            if path.is_file():
                there = pq.read_metadata(path)
                groups = (there.row_group(number) for number in range(there.num_row_groups))
                self.size = max(
                    sum(group.total_byte_size for group in groups),
                    8 * there.num_rows * there.num_columns,
                )
                self.names = pq.read_schema(path).names
            else:
                self.names = pq.read_table(path).column_names

    def read(self, names: Sequence[str]) -> pa.Table:
        with _parquet(self._path):
            if len(names) == len(self.names):
                return pq.read_table(self._path)
            # By a name it also finds those that go on after it with a dot.
            return pq.ParquetFile(self._path).read(columns=list(names)).select(list(names))


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        raise BadData(f"{path}: not a Parquet file: {error}") from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadData(f"{path}: cannot read the file: {error.strerror or error}") from error
