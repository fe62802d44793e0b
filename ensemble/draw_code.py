"""Machine code that draws members, many words at a time. sampling.py says what it must give.

Words are made for a few rounds ahead, and only then are the rounds shuffled: a shuffle that waits
for its words fills the processor's queues and lets nothing else begin.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from ensemble.count_code import TILE_BYTES
from ensemble.native import I32, I64, POINTER, Assembler, Instructions
from ensemble.sampling import MULTIPLIERS, PHILOX_ROUNDS, WEYL, WORD

LANES = 8
"""Philox blocks of one round computed side by side: a group."""
WORDS = 4
"""Words of a Philox block."""
GROUP = WORDS * LANES
"""Words of a group: members drawn in one go."""
AHEAD = 16
"""Rounds for which words are made before they are shuffled; even."""
SHIFT = TILE_BYTES.bit_length() - 1
"""A model's votes in a tile are 2^SHIFT bytes."""


@dataclass(frozen=True)
class Layout:
    """How arrays lie that the function `draw` reads and writes: for the emitter and the caller."""

    members: int
    rounds: int

    @property
    def groups(self) -> int:
        """Groups of words that one round takes."""
        return -(-self.members // GROUP)

    @property
    def flags(self) -> int:
        """Flags of an ensemble: one a group, and one more, for groups may be written in pairs."""
        return self.rounds * self.groups + 1

    def draws(self, models: int) -> npt.NDArray[np.uint64]:
        """What `draw` needs to know of draw i = 32 group + 4 lane + word: the number n of models
        left, the limit 2^32 mod n below which a product's low word is rejected, and i itself:
        (groups, 3, 4, LANES). Draws beyond the last have n = 1.
        """
        i = np.arange(self.groups * GROUP, dtype=np.uint64)
        left = np.where(i < self.members, np.uint64(models) - i, np.uint64(1))
        table = np.stack([left, np.uint64(WORD) % left, i])
        shaped = table.reshape(3, self.groups, LANES, WORDS)
        return np.ascontiguousarray(shaped.transpose(1, 0, 3, 2))

    def places(self) -> npt.NDArray[np.uint32]:
        """Room for the words of AHEAD rounds, and for one more group, as in `flags`."""
        return np.empty((AHEAD * self.groups + 1) * GROUP, dtype=np.uint32)

    def rejected(self, ensembles: int) -> npt.NDArray[np.uint8]:
        """Room for the flags of ensembles."""
        return np.empty((ensembles, self.flags), dtype=np.uint8)

    def rejections(self, rejected: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        """Ensemble and round, from 0, of each group that was flagged."""
        for ensemble, group in np.argwhere(rejected[:, :-1]):
            yield int(ensemble), int(group) // self.groups


def emit_draw(module: ir.Module, layout: Layout, instructions: Instructions) -> None:
    """Add the function `draw` to a module.

    draw(seed, first, ensembles, draws, pool, places, offsets, rejected)
        draws, places, rejected: of `layout`
        pool: (models,) u32, 0, 1, 2, ... << SHIFT; given back as it was
        offsets: (ensembles, rounds, members) u32, model number << SHIFT: the result
    A flag in `rejected` is not 0 where a word is rejected, which is rare. There the offsets are
    wrong, and the caller draws by the definition.
    """
    asm, arguments = Assembler.begin(module, "draw", ir.VoidType(), [I64, I64, I64, *[POINTER] * 5])
    seed, first, ensembles, draws, pool, places, offsets, rejected = arguments
    members, rounds, groups = layout.members, I64(layout.rounds), I64(layout.groups)
    # Two groups at once hide the latency of multiplication, if there are registers for them.
    together = 2 if instructions is Instructions.AVX512 else 1
    words = _Words(asm, seed, draws, together)
    chunks = -(-layout.rounds // AHEAD)
    with asm.loop(ensembles) as e, asm.loop(I64(chunks)) as chunk:
        start = asm.mul(chunk, I64(AHEAD))
        left = asm.sub(rounds, start)
        here = asm.select(asm.icmp_signed("<", left, I64(AHEAD)), left, I64(AHEAD))
        wanted = asm.add(asm.mul(here, groups), I64(together - 1))
        flags = asm.at(rejected, asm.mul(e, I64(layout.flags)))
        flags = asm.at(flags, asm.mul(start, groups))
        with asm.loop(asm.udiv(wanted, I64(together))) as step:
            group = asm.mul(step, I64(together))
            words.choose(asm.add(first, e), start, group, groups, places, flags)
        with asm.loop(here) as r:
            mine = asm.at(places, asm.mul(r, asm.mul(groups, I64(GROUP))), I32)
            this = asm.add(asm.mul(e, rounds), asm.add(start, r))
            out = asm.at(offsets, asm.mul(this, I64(members)), I32)
            _shuffle(asm, members, mine, pool, out)
    asm.ret_void()


def _shuffle(asm: Assembler, members: int, places: Any, pool: Any, out: Any) -> None:
    """Swap members to the front of the pool, note them, and put the pool in order again."""

    def swap(i: Any) -> None:
        j = asm.zext(asm.get(I32, places, i), I64)
        asm.put(asm.get(I32, pool, j), out, i)
        # The place i itself is not read again in this round, so nothing need be put there.
        asm.put(asm.get(I32, pool, i), pool, j)

    def restore(i: Any) -> None:
        j = asm.get(I32, places, i)
        asm.put(asm.shl(j, I32(SHIFT)), pool, asm.zext(j, I64))

    _each(asm, members, swap)
    _each(asm, members, restore)


def _each(asm: Assembler, times: int, emit: Callable[[Any], None]) -> None:
    """Emit a step for 0 .. times - 1, GROUP of them in a straight line."""
    full, rest = divmod(times, GROUP)
    if full:
        with asm.loop(I64(full)) as group:
            for k in range(GROUP):
                emit(asm.add(asm.mul(group, I64(GROUP)), I64(k)))
    for k in range(rest):
        emit(I64(full * GROUP + k))


class _Words:
    """Emits Philox4x32-10 and turns its words into places of the pool.

    A word is kept in a 64-bit lane, so that it can be multiplied; lanes hold the blocks of one
    group after another.
    """

    def __init__(self, asm: Assembler, seed: Any, draws: Any, together: int) -> None:
        self.asm, self.draws, self.together = asm, draws, together
        self.lanes = together * LANES
        key = [asm.and_(seed, I64(WORD - 1)), asm.lshr(seed, I64(32))]
        self.keys = []
        for _ in range(PHILOX_ROUNDS):
            self.keys.append([asm.splat(half, self.lanes) for half in key])
            key = [
                asm.and_(asm.add(half, I64(step)), I64(WORD - 1))
                for half, step in zip(key, WEYL, strict=True)
            ]

    def choose(
        self, ensemble: Any, start: Any, group: Any, groups: Any, places: Any, flags: Any
    ) -> None:
        """Write the places drawn by `together` groups from `group` on, which counts on over the
        rounds from index `start`.
        """
        asm = self.asm
        overall = [asm.add(group, I64(i)) for i in range(self.together)]
        of_round = [asm.urem(g, groups) for g in overall]
        blocks = self._join([asm.splat(asm.mul(g, I64(LANES)), LANES) for g in of_round])
        round_no = [asm.add(asm.add(start, asm.udiv(g, groups)), I64(1)) for g in overall]
        counter = [
            asm.add(blocks, self._each_lane([lane % LANES for lane in range(self.lanes)])),
            self._join([asm.splat(r, LANES) for r in round_no]),
            asm.splat(ensemble, self.lanes),
            asm.splat(asm.lshr(ensemble, I64(32)), self.lanes),
        ]
        columns, rejected = [], None
        for word, value in enumerate(self._philox(counter)):
            left, limit, position = (self._of_draws(of_round, row, word) for row in range(3))
            product = asm.mul(self._word(value), self._word(left))
            columns.append(asm.add(asm.lshr(product, self._constant(32)), position))
            below = asm.icmp_unsigned("<", self._word(product), limit)
            rejected = below if rejected is None else asm.or_(rejected, below)
        mask = asm.bitcast(rejected, ir.IntType(self.lanes))
        asm.store(mask, asm.at(flags, group), align=1)
        self._write(columns, asm.at(places, asm.mul(group, I64(GROUP)), I32))

    def _philox(self, counter: Sequence[Any]) -> list[Any]:
        asm = self.asm
        a, b, c, d = counter
        for low, high in self.keys:
            left = asm.mul(self._word(a), self._constant(MULTIPLIERS[0]))
            right = asm.mul(self._word(c), self._constant(MULTIPLIERS[1]))
            a = asm.xor(asm.xor(asm.lshr(right, self._constant(32)), b), low)
            c = asm.xor(asm.xor(asm.lshr(left, self._constant(32)), d), high)
            b, d = right, left
        return [a, b, c, d]

    def _of_draws(self, groups: Sequence[Any], row: int, word: int) -> Any:
        """One row of Layout.draws for a word of the blocks, for each group."""
        asm, vector = self.asm, ir.VectorType(I64, LANES)
        rows = [asm.add(asm.mul(g, I64(3 * WORDS)), I64(WORDS * row + word)) for g in groups]
        return self._join([asm.get(vector, self.draws, r, align=8) for r in rows])

    def _write(self, columns: Sequence[Any], places: Any) -> None:
        """Put four columns of words side by side, in the order of the stream."""
        asm, size = self.asm, self.lanes
        high = [asm.shl(columns[word], self._constant(32)) for word in (1, 3)]
        pairs = [asm.or_(columns[word], half) for word, half in zip((0, 2), high, strict=True)]
        order = [lane // 2 + size * (lane % 2) for lane in range(2 * size)]
        mixed = asm.shuffle_vector(*pairs, ir.Constant(ir.VectorType(I32, 2 * size), order))
        asm.store(mixed, places, align=4)

    def _join(self, parts: Sequence[Any]) -> Any:
        if len(parts) == 1:
            return parts[0]
        order = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
        return self.asm.shuffle_vector(*parts, order)

    def _word(self, lanes: Any) -> Any:
        """The low word of every lane. Said before a product, it lets LLVM multiply 32 by 32 bits,
        which costs a third; the masking itself it then drops.
        """
        return self.asm.and_(lanes, self._constant(WORD - 1))

    def _constant(self, value: int) -> Any:
        return self._each_lane([value] * self.lanes)

    def _each_lane(self, values: list[int]) -> Any:
        return ir.Constant(ir.VectorType(I64, self.lanes), values)
