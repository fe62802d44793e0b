"""The target as 0 and 1, or a clear word on why it cannot be."""

import shlex

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from configs.errors import BadData
from configs.meant import some
from configs.wording import counted
from storage.column_kinds import written
from storage.records import DatasetColumn

_ONE = ("1", "1.0", "true")
_ZERO = ("0", "0.0", "false")
_SHOWN = 5


def classes_of(
    values: pa.ChunkedArray, column: DatasetColumn, positive: str | None, where: str
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """Labels of a canonical target column, and the words of class 0; 1 is `positive`, or 1 or true
    where that is None.

    Raises:
        BadData: values are missing, or are not 0 and 1 (or two, one of them `positive`).
    """
    name = f"target column {column.column_name!r} of {where}"
    codes, words = _encoded(values, column)
    missing = int((codes < 0).sum())
    if missing:
        raise BadData(
            f"{name} has {counted(missing, 'missing value')}; remove such rows, or label them"
        )
    if positive is None:
        meanings = [word.lower() for word in words]
        if any(meaning not in (*_ONE, *_ZERO) for meaning in meanings):
            raise BadData(_not_binary(name, sorted(words)))
        ones = [meaning in _ONE for meaning in meanings]
    else:
        _check_positive(name, sorted(words), positive)
        ones = [word == positive for word in words]
    labels: NDArray[np.int8] = np.array(ones, np.int8)[codes]
    return labels, tuple(word for word, one in zip(words, ones, strict=True) if not one)


def _encoded(values: pa.ChunkedArray, column: DatasetColumn) -> tuple[NDArray[np.int32], list[str]]:
    """Numbers of words, -1 for missing, and the words."""
    encoded = values.combine_chunks().dictionary_encode()
    known = encoded.dictionary
    texts = written(known) if pa.types.is_floating(known.type) else known
    words = texts.to_pylist()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    gone = [
        code for code, word in enumerate(words) if word is None or word in column.missing_values
    ]
    codes = np.where(np.isin(codes, gone), -1, codes)
    # A word that only rows without a label have is none of the target's.
    order = [code for code in range(len(words)) if code not in gone]
    renumbered = np.full(len(words) + 1, -1, np.int32)  # the last is for -1
    renumbered[order] = np.arange(len(order))
    return renumbered[codes], [words[code] for code in order]


def _check_positive(name: str, words: list[str], positive: str) -> None:
    if len(words) > 2:
        raise BadData(
            f"{name} has {counted(len(words), 'different value')} ({_some(words)}), not two"
        )
    if words and positive not in words:
        raise BadData(f"{name} never is {positive!r}; its values are {_some(words)}")


def _not_binary(name: str, there: list[str]) -> str:
    if len(there) == 2:
        choice = " or ".join(f"--positive {shlex.quote(word)}" for word in there)
        return f"{name} holds {_some(there)}, not 0 and 1; say which means 1: {choice}"
    many = f"{len(there)} different values ({_some(there)})" if len(there) > 2 else _some(there)
    return f"{name} holds {many}, not 0 and 1; name another column or recode it"


def _some(there: list[str]) -> str:
    return some(list(map(repr, there)), _SHOWN)
