"""The target as 0 and 1, or a clear word on why it cannot be."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from configs.errors import BadData
from storage.kinds import written
from storage.records import DatasetColumn

_ONE = ("1", "1.0", "true")
_ZERO = ("0", "0.0", "false")
_SHOWN = 5


def labels_of(
    values: pa.ChunkedArray, column: DatasetColumn, positive: str | None, where: str
) -> NDArray[np.int8]:
    """Labels of a canonical target column; 1 is `positive`, or 1 or true where that is None.

    Raises:
        BadData: values are missing, or are not 0 and 1 (or two, one of them `positive`).
    """
    name = f"target column {column.column_name!r} of {where}"
    if column.kind == "numeric":
        values = pc.if_else(pc.is_nan(values), None, values)
    if column.missing_values:
        marks = pa.array(column.missing_values, pa.string())
        values = pc.if_else(pc.is_in(_as_text(values), value_set=marks), None, values)
    if values.null_count:
        raise BadData(
            f"{name} has {values.null_count} missing values; remove these rows, or give them 0 or 1"
        )
    texts = _as_text(values)
    there = sorted(pc.unique(texts).to_pylist())
    if positive is not None:
        return _against(texts, there, positive, name)
    ones = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(_ONE, texts.type))
    zeros = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(_ZERO, texts.type))
    if pc.all(pc.or_(ones, zeros)).as_py() is False:
        raise BadData(_not_binary(name, there))
    return _int8(ones)


def _against(
    texts: pa.ChunkedArray, there: list[str], positive: str, name: str
) -> NDArray[np.int8]:
    if len(there) > 2:
        raise BadData(f"{name} has {len(there)} different values ({_some(there)}), not two")
    if positive not in there and there:
        raise BadData(f"{name} never is {positive!r}; its values are {_some(there)}")
    return _int8(pc.equal(texts, positive))


def _not_binary(name: str, there: list[str]) -> str:
    if len(there) == 2:
        return (
            f"{name} holds {_some(there)}, not 0 and 1; say which of them means 1 with "
            f"--positive VALUE: --positive {there[0]!r} or --positive {there[1]!r}"
        )
    many = f"{len(there)} different values ({_some(there)})" if len(there) > 2 else _some(there)
    return f"{name} holds {many}, not 0 and 1; name another column or recode it"


def _some(there: list[str]) -> str:
    shown = ", ".join(repr(value) for value in there[:_SHOWN])
    return shown + (", ..." if len(there) > _SHOWN else "")


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return written(values) if pa.types.is_floating(values.type) else values.cast(pa.string())


def _int8(truth: pa.ChunkedArray) -> NDArray[np.int8]:
    found: NDArray[np.int8] = truth.cast(pa.int8()).to_numpy()
    return found
