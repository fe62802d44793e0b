"""Rows of an ordinary cursor as Arrow columns of int64, float64 or string, as the values are."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Select

from configs.errors import BadData
from storage.column_kinds import written

_ROWS, _CELLS = 20_000, 500_000  # at once, as Python's objects, of tens of bytes each


def read(connection: Connection, question: Select[Any], names: Sequence[str]) -> pa.Table:
    """The answer in columns c0, c1, ...; `names` is what messages call them.

    Raises:
        BadData: a column holds binary values.
    """
    at_once = min(_ROWS, _CELLS // len(names) + 1)
    result = connection.execution_options(yield_per=at_once).execute(question)
    chunks: list[list[pa.Array]] = [[] for _ in names]
    for rows in result.partitions():
        for name, values, parts in zip(names, zip(*rows, strict=True), chunks, strict=True):
            parts.append(_array(name, values))
    columns = [_one_type(parts) for parts in chunks]
    return pa.table(columns, names=[f"c{number}" for number in range(len(names))])


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    """What Python values a cursor gave; a mix of numbers and text is text."""
    kinds = set(map(type, values)) - {type(None)}
    if bytes in kinds:
        raise BadData(f"column {name!r} holds binary values; leave it out with --drop {name}")
    if kinds <= {int}:
        try:
            return pa.array(values, pa.int64())
        except OverflowError:
            kinds = {float}
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    texts = pa.array([v if isinstance(v, str) else None for v in values], pa.string())
    if kinds == {str}:
        return texts
    numbers = [None if v is None or isinstance(v, str) else float(v) for v in values]
    return pc.coalesce(texts, written(pa.array(numbers, pa.float64())))


def _one_type(parts: Sequence[pa.Array]) -> pa.ChunkedArray:
    order = (pa.int64(), pa.float64(), pa.string())
    widest = max((part.type for part in parts), key=order.index, default=pa.float64())
    if widest == pa.string():
        parts = [written(part) if pa.types.is_floating(part.type) else part for part in parts]
    return pa.chunked_array([part.cast(widest, safe=False) for part in parts], widest)
