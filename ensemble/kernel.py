"""The kernel for one rule and one processor: machine code that draws members and counts votes.

Made at run time (tens of milliseconds) for the rule's numbers, so that a round is one straight
line of adders without a branch. Nothing is kept on disk.
"""

from ctypes import c_int64, c_uint64, c_void_p
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from ensemble.counting import emit_count
from ensemble.drawing import AHEAD, GROUP, SHIFT, bounds_of, emit_draw
from ensemble.native import Code, Instructions
from ensemble.rule import Rule
from ensemble.sampling import round_members


class Kernel:
    """Draws and counts by one rule. Functions run without the interpreter lock, and a Kernel may
    be used by any number of threads at once.
    """

    def __init__(self, rule: Rule, instructions: Instructions) -> None:
        module = ir.Module("votes")
        emit_draw(module, rule.members, instructions)
        emit_count(module, rule, instructions)
        self.rule = rule
        self.instructions = instructions
        self._code = Code(module, instructions)
        self._draw = self._code.function(
            "draw", None, c_uint64, c_uint64, c_int64, c_int64, *[c_void_p] * 5
        )
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
        rule, models = self.rule, len(pool)
        bounds = bounds_of(rule.members, models)
        places = np.empty((AHEAD * len(bounds) + 1) * GROUP, dtype=np.uint32)
        unfair = np.empty((len(offsets), rule.rounds * len(bounds) + 1), dtype=np.uint8)
        arrays = (bounds, pool, places, offsets, unfair)
        self._draw(seed, first, len(offsets), rule.rounds, *[a.ctypes.data for a in arrays])
        for e, group in np.argwhere(unfair[:, :-1]):
            r = int(group) // len(bounds)
            again = round_members(seed, first + int(e), r + 1, rule.members, models)
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
        """
        tiles, models, _ = bits.shape
        votes = (bits.ctypes.data, masks[0].ctypes.data, masks[1].ctypes.data)
        self._count(tiles, models, *votes, len(offsets), offsets.ctypes.data, hits.ctypes.data)


def pool_of(models: int) -> npt.NDArray[np.uint32]:
    """The pool from which members are drawn: model numbers << SHIFT."""
    return np.arange(models, dtype=np.uint32) << np.uint32(SHIFT)


@lru_cache(maxsize=64)
def kernel_for(rule: Rule, instructions: Instructions) -> Kernel:
    """The kernel, made at the first call."""
    return Kernel(rule, instructions)
