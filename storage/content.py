"""What the rows of a data set are, whichever database holds them: canonical columns, one hash."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from configs.errors import BadData
from storage import column_kinds
from storage.records import DatasetColumn

T = TypeVar("T")

_FORM = b"deepcredit rows 1"
_THREADS = 4
_THREAD_ROWS = 10_000


def canonical(table: pa.Table, columns: Sequence[DatasetColumn]) -> pa.Table:
    """As `canonical_of`, but leaves the table as it is."""
    return canonical_of(columns_in(table), columns)


def columns_in(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def canonical_of(raw: dict[str, pa.ChunkedArray], columns: Sequence[DatasetColumn]) -> pa.Table:
    """The named columns alone, each in one piece: numeric as float64 without nulls (NaN is
    missing, as infinities are; zero has no sign), categorical as large_string in NFC with nulls
    (empty text is missing). They are taken out of `raw` one by one, so that few are there twice.

    Raises:
        BadData: a numeric column holds text that is no number.
    """

    def convert(column: DatasetColumn) -> pa.Array:
        values = raw.pop(column.column_name)
        return pa.array(_numbers(column, values)) if _is_numeric(column) else _texts(column, values)

    n_rows = max((len(values) for values in raw.values()), default=0)
    arrays = _each(convert, columns, n_rows)
    return pa.table(arrays, names=[column.column_name for column in columns])


def content_sha256(table: pa.Table, columns: Sequence[DatasetColumn]) -> str:
    """SHA-256 over names, kinds and values of `columns`, in that order and in the order of rows.

    `table` is what `canonical` returns. Equal for equal rows, whatever database they came from.
    """
    return of_digests(digests(table, columns), table.num_rows)


def digests(table: pa.Table, columns: Sequence[DatasetColumn]) -> dict[str, bytes]:
    """By name, what content_sha256 is made of: equal for equal columns. `table` is canonical."""

    def digest(column: DatasetColumn) -> bytes:
        return _digest(column, table.column(column.column_name))

    return _named(columns, _each(digest, columns, table.num_rows))


def digests_of_stored(
    table: pa.Table, columns: Sequence[DatasetColumn], order: pa.Array | None = None
) -> dict[str, bytes]:
    """The digests of `canonical(table, columns)`, of which few columns are there at a time. `order`
    has numbers of rows; None: as they are.
    """

    def digest(column: DatasetColumn) -> bytes:
        rows = canonical(table.select([column.column_name]), [column])
        rows = rows if order is None else rows.take(order).combine_chunks()
        return _digest(column, rows.column(0))

    return _named(columns, _each(digest, columns, table.num_rows))


def of_digests(found: Mapping[str, bytes], n_rows: int) -> str:
    """The content_sha256 of as many rows."""
    whole = hashlib.sha256(b"%b\n%d\n%d\n" % (_FORM, n_rows, len(found)))
    for part in found.values():
        whole.update(part)
    return whole.hexdigest()


def in_one_piece(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values, copied if they are in several pieces; only texts of 2 GB stay in several."""
    if values.num_chunks == 1:
        return values
    return pa.table([values], names=["x"]).combine_chunks().column(0)


def whole(values: pa.ChunkedArray) -> pa.Array:
    """The values in one piece; they are copied only if they are not."""
    return values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()


def _each(
    work: Callable[[DatasetColumn], T], columns: Sequence[DatasetColumn], n_rows: int
) -> list[T]:
    """`work` on every column, in threads where that pays: what takes long releases the lock."""
    if n_rows < _THREAD_ROWS:
        return [work(column) for column in columns]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, columns))


def _named(columns: Sequence[DatasetColumn], found: Sequence[bytes]) -> dict[str, bytes]:
    names = (column.column_name for column in columns)
    return dict(zip(names, found, strict=True))


def _is_numeric(column: DatasetColumn) -> bool:
    return column.kind == "numeric"


def _digest(column: DatasetColumn, values: pa.ChunkedArray) -> bytes:
    name = column.column_name.encode()
    hasher = hashlib.sha256(b"%d\n%b%b\n" % (len(name), name, column.kind.encode()))
    if _is_numeric(column):
        for chunk in values.chunks:
            hasher.update(chunk.to_numpy(zero_copy_only=True).astype("<f8", copy=False).data)
        return hasher.digest()
    texts = whole(values)
    lengths = pc.fill_null(pc.binary_length(texts).cast(pa.int64()), -1)
    hasher.update(lengths.to_numpy(zero_copy_only=False).astype("<i8", copy=False).data)
    hasher.update(_characters(texts))
    return hasher.digest()


def _characters(texts: pa.Array) -> memoryview:
    """The bytes of all texts, end to end; what lies under a null does not count."""
    filled = pc.fill_null(texts, "")
    _, offsets, characters = filled.buffers()
    if characters is None or not len(filled):
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int64)
    first, last = ends[filled.offset], ends[filled.offset + len(filled)]
    return memoryview(characters)[int(first) : int(last)]


def _numbers(column: DatasetColumn, values: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_string(values.type):
        found = column_kinds.find(column.column_name, values, column.missing_values)
        if found.kind != "numeric":
            raise BadData(
                f"column {column.column_name!r} is registered as numeric but holds text; "
                "load a new version and name the column with --categorical"
            )
        values = found.values
    doubles = values.cast(pa.float64(), safe=False)
    parts = [chunk.to_numpy(zero_copy_only=False) for chunk in doubles.chunks]
    # Into NumPy's own memory: Arrow's allocator would round it up to a quarter more.
    numbers: NDArray[np.float64] = np.concatenate([np.empty(0), *parts])
    # Nulls are NaN by now; adding turns -0.0 into 0.0.
    np.add(numbers, 0.0, out=numbers)
    unusable = ~np.isfinite(numbers)
    if unusable.any():
        numbers[unusable] = np.nan  # infinities, and one NaN for the many there are
    return numbers


def _texts(column: DatasetColumn, values: pa.ChunkedArray) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        values = column_kinds.written(values)
    elif not (pa.types.is_integer(kind) or pa.types.is_string(kind) or kind == pa.large_string()):
        raise BadData(f"column {column.column_name!r} holds {kind}: neither number nor text")
    texts = column_kinds.composed(values.cast(pa.large_string()))
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    return pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], texts.type)
