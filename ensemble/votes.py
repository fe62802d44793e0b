"""Votes as bits, and what ensembles make of them: exact counts, at the speed of the processor.

Rows stand in tiles of 512, a tile holds one bit a row for every model, so that the tiles of
hundreds of models fit a first-level cache. Parts (valid, test) are packed side by side: members
are drawn once and vote on all parts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
import numpy.typing as npt

from configs.errors import BadData
from ensemble.count_code import TILE_BYTES, TILE_ROWS
from ensemble.draw_code import SHIFT
from ensemble.kernel import kernel_for, pool_of
from ensemble.native import Instructions
from ensemble.rule import Rule
from ensemble.sampling import check as check_draw

BLOCK_BYTES = 2**19
"""Members are drawn for so many ensembles at a time that their list stays in the cache."""

WORDS = TILE_BYTES // 8


@dataclass(frozen=True)
class Part:
    """The votes of all models on the rows of one part, with the rows' labels.

    bits: (tiles, models, 8) u64, row 64 w + b of a tile is bit b of word w. masks: (2, tiles, 8),
    rows that are 1 and rows that are 0. Both start at a multiple of 64 bytes. sha256: of both.
    """

    bits: npt.NDArray[np.uint64]
    masks: npt.NDArray[np.uint64]
    rows: int
    ones: int
    sha256: str

    @property
    def models(self) -> int:
        """How many models vote."""
        return int(self.bits.shape[1])


class Count(Protocol):
    """`count`, or what does the same elsewhere."""

    def __call__(
        self, parts: Sequence[Part], rule: Rule, seed: int, first: int, last: int
    ) -> npt.NDArray[np.int64]:
        """tn, fp, fn, tp of ensembles first, ..., last - 1: (parts, last - first, 4)."""
        ...


def pack(
    votes: Iterable[npt.NDArray[np.bool_]], labels: npt.NDArray[np.bool_], models: int | None = None
) -> Part:
    """Pack votes, (models, rows) or one (rows,) after another, and labels, (rows,).

    models: how many there are; needed only if `votes` has no length.

    Raises:
        BadData: the shapes do not fit, or there are no rows or no models.
    """
    models = len(votes) if models is None else models  # type: ignore[arg-type]
    labels = np.asarray(labels, dtype=np.bool_)
    rows = len(labels)
    if rows == 0 or models == 0:
        raise BadData(f"there is nothing to vote on: {models} models, {rows} rows")
    tiles = -(-rows // TILE_ROWS)
    bits = _aligned(tiles, models)
    filled = 0
    for vote in votes:
        if vote.shape != (rows,) or filled == models:
            raise BadData(f"votes of model {filled} do not fit: {vote.shape}, not ({rows},)")
        bits[:, filled] = _words(vote, tiles)
        filled += 1
    if filled < models:
        raise BadData(f"votes of {filled} models only, not of {models}")
    masks = _aligned(2, tiles)
    masks[0], masks[1] = _words(labels, tiles), _words(~labels, tiles)
    digest = sha256(f"{bits.shape}".encode())
    digest.update(bits.data)
    digest.update(masks.data)
    return Part(bits, masks, rows, int(np.count_nonzero(labels)), digest.hexdigest())


def count(
    parts: Sequence[Part],
    rule: Rule,
    seed: int,
    first: int,
    last: int,
    instructions: Instructions | None = None,
) -> npt.NDArray[np.int64]:
    """tn, fp, fn, tp of ensembles first, ..., last - 1 on each part: (parts, last - first, 4).

    Runs on one core and without the interpreter lock: threads or processes may share the work
    in ranges. instructions: which to use; by default the best that the processor has.

    Raises:
        BadParameter: the rule, seed or range does not fit.
        BadData: the parts have different models.
    """
    models = check(parts, rule, seed, first)
    kernel = kernel_for(rule, instructions or Instructions.available()[0])
    hits = np.zeros((len(parts), max(last - first, 0), 2), dtype=np.int64)
    pool = pool_of(models)
    step = max(1, min(256, BLOCK_BYTES // (4 * rule.rounds * rule.members)))
    offsets = np.empty((step, rule.rounds, rule.members), dtype=np.uint32)
    for start in range(first, last, step):
        block = slice(start - first, min(start + step, last) - first)
        drawn = offsets[: block.stop - block.start]
        kernel.draw(seed, start, drawn, pool)
        for part, own in zip(parts, hits, strict=True):
            kernel.count(part.bits, part.masks, drawn, own[block])
    return counts_of(parts, hits)


def members(rule: Rule, seed: int, ensemble_no: int, models: int) -> npt.NDArray[np.int64]:
    """The models of one ensemble, (rounds, members): as sampling.members_of, and many times as fast
    once the kernel of the rule is made.

    Raises:
        BadParameter: the rule, seed or number does not fit.
    """
    rule.check(models)
    check_draw(seed, ensemble_no, rule.members, models)
    drawn = np.empty((1, rule.rounds, rule.members), dtype=np.uint32)
    kernel = kernel_for(rule, Instructions.available()[0])
    kernel.draw(seed, ensemble_no, drawn, pool_of(models))
    numbers: npt.NDArray[np.int64] = (drawn[0] >> SHIFT).astype(np.int64)
    return numbers


def check(parts: Sequence[Part], rule: Rule, seed: int, first: int) -> int:
    """How many models there are, if ensembles from `first` on can vote; otherwise as `count`."""
    models = parts[0].models
    if any(part.models != models for part in parts):
        raise BadData("the parts have different numbers of models")
    rule.check(models)
    check_draw(seed, first, rule.members, models)
    return models


def counts_of(parts: Sequence[Part], hits: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """tn, fp, fn, tp, (parts, ensembles, 4), from tp and fp, (parts, ensembles, 2)."""
    counts = np.empty((*hits.shape[:2], 4), dtype=np.int64)
    for part, own, table in zip(parts, hits, counts, strict=True):
        tp, fp = own[:, 0], own[:, 1]
        table[:] = np.stack([part.rows - part.ones - fp, fp, part.ones - tp, tp], axis=-1)
    return counts


def _aligned(first: int, second: int) -> npt.NDArray[np.uint64]:
    """Zeros (first, second, 8) that start at a cache line, as vector loads ask for."""
    size = first * second * TILE_BYTES
    raw = np.zeros(size + TILE_BYTES, dtype=np.uint8)
    start = -raw.ctypes.data % TILE_BYTES
    return raw[start : start + size].view(np.uint64).reshape(first, second, WORDS)


def _words(flags: npt.NDArray[np.bool_], tiles: int) -> npt.NDArray[np.uint64]:
    """Flags (rows,) as (tiles, 8) words, with zeros after the last row."""
    packed = np.zeros(tiles * TILE_BYTES, dtype=np.uint8)
    bytes_ = np.packbits(flags, bitorder="little")
    packed[: len(bytes_)] = bytes_
    return packed.view("<u8").astype(np.uint64).reshape(tiles, WORDS)
