"""The kernel for one rule and one processor: machine code that draws members and counts votes.

Made at run time (tens of milliseconds) for the rule's numbers, so that a round is one straight
line of adders without a branch. Nothing is kept on disk.
"""

from ctypes import c_int64, c_uint64, c_void_p
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from ensemble.count_code import TILE_BYTES, emit_count
from ensemble.draw_code import SHIFT, Layout, emit_draw
from ensemble.native import Code, Instructions
from ensemble.rule import Rule
from ensemble.sampling import round_members


class Kernel:
    """Draws and counts by one rule. Functions run without the interpreter lock, and a Kernel may
    be used by any number of threads at once.
    """

    def __init__(self, rule: Rule, instructions: Instructions) -> None:
        module = ir.Module("votes")
        self._layout = Layout(rule.members, rule.rounds)
        emit_draw(module, self._layout, instructions)
        emit_count(module, rule, instructions)
        self.rule = rule
        self._code = Code(module, instructions)
        self._draw = self._code.function("draw", None, c_uint64, c_uint64, c_int64, *[c_void_p] * 5)
        self._count = self._code.function(
            "count", None, c_int64, c_int64, *[c_void_p] * 3, c_int64, *[c_void_p] * 2
        )

    def draw(
        self, seed: int, first: int, offsets: npt.NDArray[np.uint32], pool: npt.NDArray[np.uint32]
    ) -> None:
        """Fill offsets, (ensembles, rounds, members), with the members of ensembles first,
        first + 1, ...: model numbers << SHIFT.

        pool: of `pool_of`, (models,); one for each thread.
        """
        rule, layout, models = self.rule, self._layout, len(pool)
        _plain(offsets, np.uint32, (len(offsets), rule.rounds, rule.members))
        rejected = layout.rejected(len(offsets))
        arrays = (layout.draws(models), pool, layout.places(), offsets, rejected)
        self._draw(seed, first, len(offsets), *[a.ctypes.data for a in arrays])
        for e, r in layout.rejections(rejected):
            again = round_members(seed, first + e, r + 1, rule.members, models)
            offsets[e, r] = np.array(again, dtype=np.uint32) << SHIFT

    def count(
        self,
        bits: npt.NDArray[np.uint64],
        masks: npt.NDArray[np.uint64],
        offsets: npt.NDArray[np.uint32],
        hits: npt.NDArray[np.int64],
    ) -> None:
        """Let the ensembles vote and add tp and fp to hits, (ensembles, 2).

        bits: (tiles, models, 8). masks: (2, tiles, 8), the rows that are 1 and those that are 0.
        Both start at a multiple of 64 bytes. All arrays are contiguous.

        Raises:
            ValueError: arrays are not so (those that came out of a pickle are not); machine code
                that trusted them would take the process down.
        """
        tiles, models, _ = bits.shape
        _plain(bits, np.uint64, (tiles, models, TILE_BYTES // 8), TILE_BYTES)
        _plain(masks, np.uint64, (2, tiles, TILE_BYTES // 8), TILE_BYTES)
        _plain(offsets, np.uint32, (len(offsets), self.rule.rounds, self.rule.members))
        _plain(hits, np.int64, (len(offsets), 2))
        votes = (bits.ctypes.data, masks[0].ctypes.data, masks[1].ctypes.data)
        self._count(tiles, models, *votes, len(offsets), offsets.ctypes.data, hits.ctypes.data)


def _plain(
    array: npt.NDArray[Any], kind: type[np.generic], shape: tuple[int, ...], align: int = 1
) -> None:
    fits = array.dtype == kind and array.shape == shape and array.flags.c_contiguous
    if not fits or array.ctypes.data % align:
        raise ValueError(
            f"an array {array.shape} of {array.dtype} is not {shape} of {kind.__name__}, "
            f"contiguous and at a multiple of {align} bytes"
        )


def pool_of(models: int) -> npt.NDArray[np.uint32]:
    """The pool from which members are drawn: model numbers << SHIFT."""
    return np.arange(models, dtype=np.uint32) << np.uint32(SHIFT)


@lru_cache(maxsize=64)
def kernel_for(rule: Rule, instructions: Instructions) -> Kernel:
    """The kernel, made at the first call."""
    return Kernel(rule, instructions)
