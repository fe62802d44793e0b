"""Rows that were learned from, known again in another guise: a 64-bit key for each row of a matrix.

Of the prepared matrix, because rows that are written otherwise but mean the same are prepared as
the same: columns in another order or further ones, codes, sentinels, Unicode's forms do not matter.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

FEW = 0.01
"""So small a share of rows that equal learned ones are nothing to tell of: there are twins."""

# The first round of SplitMix64's mixing: Steele, Lea and Flood, "Fast splittable pseudorandom
# number generators", OOPSLA 2014. It maps no two numbers to one: rows that differ in one column
# have other keys.
_SHIFT, _FACTOR = np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)


def of(blocks: Iterable[NDArray[np.float32]]) -> Keys:
    """The key of each row of a matrix in pieces: equal for equal rows, on every machine."""
    return np.concatenate([_of(block) for block in blocks])


def doubts(keys: Keys, learned: Keys, aside: Keys) -> tuple[str, ...]:
    """What `keys` of rows to measure tell against it; `aside`: of rows of the same kind that were
    not learned from. Where many of these have twins among the learned ones, few values are possible
    and equal rows need not be the same.
    """
    count = _among(keys, learned)
    if count <= max(FEW, 2 * _among(aside, learned) / len(aside)) * len(keys):
        return ()
    return (f"{count:,} of {len(keys):,} rows equal rows learned from: metrics on them flatter",)


def twins(learned: Keys, aside: Keys) -> tuple[str, ...]:
    """What the keys of a split tell against it: rows set aside that equal rows learned from."""
    count = _among(aside, learned)
    if count <= FEW * len(aside):
        return ()
    return (f"{count:,} of {len(aside):,} rows of valid and test equal rows of train",)


def _of(block: NDArray[np.float32]) -> Keys:
    keys = np.zeros(len(block), np.uint64)
    shifted = np.empty_like(keys)
    for column in block.T:
        keys ^= np.ascontiguousarray(column + np.float32(0)).view(np.uint32)  # -0.0 is 0.0
        keys ^= np.right_shift(keys, _SHIFT, out=shifted)
        keys *= _FACTOR
    return keys


def _among(keys: Keys, learned: Keys) -> int:
    return int(np.count_nonzero(np.isin(keys, learned)))
