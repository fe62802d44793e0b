"""What the rows of a data set are, whichever database holds them: canonical columns, one hash."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from configs.errors import BadData
from storage import kinds
from storage.records import DatasetColumn

_FORM = b"deepcredit rows 1"


def canonical(table: pa.Table, columns: Sequence[DatasetColumn]) -> pa.Table:
    """The named columns alone, each in one piece: numeric as float64 without nulls (NaN is
    missing, as infinities are; zero has no sign), categorical as large_string with nulls (empty
    text is missing).

    Raises:
        BadData: a numeric column holds text that is no number.
    """

    def convert(column: DatasetColumn) -> pa.Array:
        values = table.column(column.column_name)
        return pa.array(_numbers(column, values)) if _is_numeric(column) else _texts(column, values)

    with ThreadPoolExecutor() as pool:  # Arrow and NumPy release the interpreter's lock
        arrays = list(pool.map(convert, columns))
    return pa.table(arrays, names=[column.column_name for column in columns])


def content_sha256(table: pa.Table, columns: Sequence[DatasetColumn]) -> str:
    """SHA-256 over names, kinds and values of `columns`, in that order and in the order of rows.

    `table` is what `canonical` returns. Equal for equal rows, whatever database they came from.
    """

    def digest(column: DatasetColumn) -> bytes:
        return _digest(column, table.column(column.column_name))

    with ThreadPoolExecutor() as pool:
        digests = pool.map(digest, columns)
        whole = hashlib.sha256(b"%b\n%d\n%d\n" % (_FORM, table.num_rows, len(columns)))
        for part in digests:
            whole.update(part)
    return whole.hexdigest()


def _is_numeric(column: DatasetColumn) -> bool:
    return column.kind == "numeric"


def _digest(column: DatasetColumn, values: pa.ChunkedArray) -> bytes:
    name = column.column_name.encode()
    hasher = hashlib.sha256(b"%d\n%b%b\n" % (len(name), name, column.kind.encode()))
    if _is_numeric(column):
        hasher.update(_numbers(column, values).astype("<f8", copy=False).data)
        return hasher.digest()
    texts = _texts(column, values)
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
        found = kinds.find(column.column_name, values, column.missing_values)
        if found.kind != "numeric":
            raise BadData(
                f"column {column.column_name!r} is registered as numeric but holds text; "
                "load a new version and name the column with --categorical"
            )
        values = found.values
    floats = values.cast(pa.float64(), safe=False)
    numbers: NDArray[np.float64] = floats.to_numpy() + 0.0  # turns -0.0 into 0.0; nulls are NaN
    numbers[~np.isfinite(numbers)] = np.nan  # infinities, and one NaN for the many there are
    return numbers


def _texts(column: DatasetColumn, values: pa.ChunkedArray) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        values = kinds.written(values)
    elif not (pa.types.is_integer(kind) or pa.types.is_string(kind) or kind == pa.large_string()):
        raise BadData(f"column {column.column_name!r} holds {kind}: neither number nor text")
    texts = values.cast(pa.large_string())
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    return pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], texts.type)
