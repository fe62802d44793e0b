"""Machine code that draws members, many words at a time. sampling.py says what it must give."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir

from ensemble.native import BYTE, I32, I64, POINTER, Assembler
from ensemble.sampling import MULTIPLIERS, PHILOX_ROUNDS, WEYL, WORD

LANES = 8
"""Philox blocks computed side by side."""
GROUP = 4 * LANES
"""Words that come of them: members drawn in one go."""
VECTOR = ir.VectorType(I64, LANES)
SHIFT = 6
"""A model's votes in a tile are 2^6 bytes."""


def emit_draw(module: ir.Module, members: int) -> None:
    """Add the function `draw` to a module.

    draw(seed, first, ensembles, rounds, bounds, pool, places, offsets, unfair)
        bounds: of `bounds_of`
        pool: (models,) u32, 0, 1, 2, ... << SHIFT; given back as it was
        places: room for (groups * GROUP,) u32
        offsets: (ensembles, rounds, members) u32, model number << SHIFT: the result
        unfair: (ensembles, rounds) u8: not 0 where a word must be skipped, which is rare. There
            the offsets are wrong, and the caller draws by the definition.
    """
    asm, arguments = Assembler.begin(
        module, "draw", ir.VoidType(), [I64, I64, I64, I64, *[POINTER] * 5]
    )
    seed, first, ensembles, rounds, bounds, pool, places, offsets, unfair = arguments
    keys = _keys(asm, seed)
    with asm.loop(ensembles) as e, asm.loop(rounds) as r:
        this = asm.add(asm.mul(e, rounds), r)
        number = asm.add(first, e)
        counter = [asm.add(r, I64(1)), asm.and_(number, I64(WORD - 1)), asm.lshr(number, I64(32))]
        out = asm.at(offsets, asm.mul(this, I64(members)), I32)
        flag = asm.at(unfair, this)
        asm.put(BYTE(0), flag, align=1)

        def draw(start: Any, steps: int) -> None:
            words = _words(asm, asm.lshr(start, I64(2)), counter, keys)
            refused = _choose(asm, words, start, bounds, places)
            asm.put(asm.or_(asm.get(BYTE, flag, align=1), refused), flag, align=1)
            for k in range(steps):
                i = asm.add(start, I64(k))
                j = asm.zext(asm.get(I32, places, i), I64)
                asm.put(asm.get(I32, pool, j), out, i)
                asm.put(asm.get(I32, pool, i), pool, j)

        def restore(start: Any, steps: int) -> None:
            for k in range(steps):
                j = asm.get(I32, places, asm.add(start, I64(k)))
                asm.put(asm.shl(j, I32(SHIFT)), pool, asm.zext(j, I64))

        _each_group(asm, members, draw)
        _each_group(asm, members, restore)
    asm.ret_void()


def bounds_of(members: int, models: int) -> npt.NDArray[np.uint64]:
    """What `draw` needs to know of draw i = 32 group + 4 lane + word: the number n of models left,
    2^32 mod n, and i itself: (groups, 3, 4, LANES). Draws beyond the last have n = 1.
    """
    groups = -(-members // GROUP)
    i = np.arange(groups * GROUP, dtype=np.uint64)
    left = np.where(i < members, np.uint64(models) - i, np.uint64(1))
    table = np.stack([left, np.uint64(WORD) % left, i])
    return np.ascontiguousarray(table.reshape(3, groups, LANES, 4).transpose(1, 0, 3, 2))


def _each_group(asm: Assembler, members: int, emit: Callable[[Any, int], None]) -> None:
    full, rest = divmod(members, GROUP)
    if full:
        with asm.loop(I64(full)) as group:
            emit(asm.mul(group, I64(GROUP)), GROUP)
    if rest:
        emit(I64(full * GROUP), rest)


def _keys(asm: Assembler, seed: Any) -> list[tuple[Any, Any]]:
    """Philox's key of every round, a copy in each lane."""
    key = [asm.and_(seed, I64(WORD - 1)), asm.lshr(seed, I64(32))]
    keys = []
    for _ in range(PHILOX_ROUNDS):
        keys.append((asm.splat(key[0], LANES), asm.splat(key[1], LANES)))
        key = [
            asm.and_(asm.add(half, I64(step)), I64(WORD - 1))
            for half, step in zip(key, WEYL, strict=True)
        ]
    return keys


def _words(
    asm: Assembler, block: Any, counter: Sequence[Any], keys: Sequence[tuple[Any, Any]]
) -> list[Any]:
    """Philox4x32-10 of LANES blocks from `block` on: four vectors of words, one a 64-bit lane."""
    a = asm.add(asm.splat(block, LANES), ir.Constant(VECTOR, list(range(LANES))))
    b, c, d = (asm.splat(word, LANES) for word in counter)
    mask = _constant(WORD - 1)
    for low, high in keys:
        left = asm.mul(a, _constant(MULTIPLIERS[0]))
        right = asm.mul(c, _constant(MULTIPLIERS[1]))
        a = asm.xor(asm.xor(asm.lshr(right, _constant(32)), b), low)
        c = asm.xor(asm.xor(asm.lshr(left, _constant(32)), d), high)
        b, d = asm.and_(right, mask), asm.and_(left, mask)
    return [a, b, c, d]


def _choose(asm: Assembler, words: Sequence[Any], start: Any, bounds: Any, places: Any) -> Any:
    """Turn words into places of the pool, by multiplication; return a byte, 0 if all were fair."""
    row = asm.mul(asm.udiv(start, I64(GROUP)), I64(12))
    columns, refused = [], None
    for word, value in enumerate(words):
        left, fair, position = (
            asm.get(VECTOR, bounds, asm.add(row, I64(4 * kind + word)), align=8)
            for kind in range(3)
        )
        product = asm.mul(value, left)
        columns.append(asm.add(asm.lshr(product, _constant(32)), position))
        bad = asm.icmp_unsigned("<", asm.and_(product, _constant(WORD - 1)), fair)
        refused = bad if refused is None else asm.or_(refused, bad)
    pairs = [asm.or_(columns[word], asm.shl(columns[word + 1], _constant(32))) for word in (0, 2)]
    for half in range(2):
        order = [half * LANES // 2 + lane // 2 + LANES * (lane % 2) for lane in range(LANES)]
        mixed = asm.shuffle_vector(*pairs, ir.Constant(ir.VectorType(I32, LANES), order))
        asm.put(mixed, asm.at(places, start, I32), half, align=4)
    return asm.select(
        asm.icmp_unsigned("!=", asm.bitcast(refused, ir.IntType(LANES)), ir.IntType(LANES)(0)),
        BYTE(1),
        BYTE(0),
    )


def _constant(value: int) -> Any:
    return ir.Constant(VECTOR, [value] * LANES)
