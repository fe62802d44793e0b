"""Machine code that lets ensembles vote, 512 rows at a time, and counts who is right."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ensemble.adders import Step, Wiring, accumulate, at_least, planes_for
from ensemble.native import I32, I64, POINTER, Assembler, Instructions
from ensemble.rule import Rule

TILE_ROWS = 512
TILE_BYTES = TILE_ROWS // 8
STRAIGHT = 64
"""So many inputs are added in a straight line; more in a loop over CHUNK at a time."""
CHUNK = 32

Load = Callable[[Any, int, int], Any]
"""Emits the reading of input base + i, the i-th of so many in a straight line."""


def emit_count(module: ir.Module, rule: Rule, instructions: Instructions) -> None:
    """Add the function `count` to a module.

    count(tiles, models, bits, positive, negative, ensembles, offsets, hits)
        bits: (tiles, models, 8) u64, 64-byte aligned: bit b of word w is the vote on row 64 w + b
        positive, negative: (tiles, 8) u64, 64-byte aligned: which rows are 1 and which 0; rows
            that do not exist are neither
        offsets: (ensembles, rounds, members) u32, model number * TILE_BYTES
        hits: (ensembles, 2) i64: tp and fp are added to what is there
    """
    asm, arguments = Assembler.begin(
        module, "count", ir.VoidType(), [I64, I64, *[POINTER] * 3, I64, *[POINTER] * 2]
    )
    tiles, models, bits, positive, negative, ensembles, offsets, hits = arguments
    voter = _Voter(asm, rule, instructions)
    with asm.loop(tiles) as tile, asm.loop(ensembles) as e:
        place = asm.mul(tile, I64(TILE_BYTES))
        votes = asm.at(bits, asm.mul(place, models))
        chosen = asm.at(offsets, asm.mul(e, I64(rule.rounds * rule.members)), I32)
        right = [asm.at(mask, place) for mask in (positive, negative)]
        own = asm.at(hits, asm.mul(e, I64(2)), I64)
        for i, ones in enumerate(voter.tile(votes, chosen, right)):
            asm.put(asm.add(asm.get(I64, own, i, align=8), ones), own, i, align=8)
    asm.ret_void()


class _Voter:
    """Emits the votes of one ensemble on one tile, a vector of its rows at a time."""

    def __init__(self, asm: Assembler, rule: Rule, instructions: Instructions) -> None:
        self.asm, self.rule, self.instructions = asm, rule, instructions
        self.vector = ir.VectorType(I64, instructions.value)
        self.bytes = 8 * instructions.value
        self.ballot = asm.alloca(self.vector, rule.rounds)
        self.ballot.align = self.bytes

    def tile(self, votes: Any, chosen: Any, right: list[Any]) -> list[Any]:
        """Rows of the tile that are called 1 and in the first mask, and in the second."""
        asm = self.asm
        totals: list[Any] = [None, None]
        for start in range(0, TILE_BYTES, self.bytes):
            final = self._final(asm.at(votes, start), chosen)
            for i, mask in enumerate(right):
                rows = self._get(asm.at(mask, start))
                ones = self._call("llvm.ctpop", self.vector, asm.and_(final, rows))
                totals[i] = ones if totals[i] is None else asm.add(totals[i], ones)
        return [self._call("llvm.vector.reduce.add", I64, ones) for ones in totals]

    def _final(self, votes: Any, chosen: Any) -> Any:
        asm, rule = self.asm, self.rule
        with asm.loop(I64(rule.rounds)) as r:
            members = asm.at(chosen, asm.mul(r, I64(rule.members)), I32)

            def vote(base: Any, i: int, inputs: int) -> Any:
                return self._get(asm.at(votes, self._offset(members, base, i, inputs)))

            self._put(self._at_least(rule.members, rule.round_votes, vote), r)

        def ballot(base: Any, i: int, _inputs: int) -> Any:
            return self._get(asm.at(self.ballot, asm.add(base, I64(i)), self.vector))

        return self._at_least(rule.rounds, rule.final_votes, ballot)

    def _offset(self, members: Any, base: Any, i: int, inputs: int) -> Any:
        """Two offsets come by one read, which LLVM does once: reading is what limits us."""
        asm = self.asm
        if i % 2 == 0 and i + 1 == inputs:
            return asm.zext(asm.get(I32, members, asm.add(base, I64(i))), I64)
        two = asm.get(I64, asm.at(members, asm.add(base, I64(i - i % 2)), I32))
        return asm.lshr(two, I64(32)) if i % 2 else asm.and_(two, I64(2**32 - 1))

    def _at_least(self, inputs: int, threshold: int, load: Load) -> Any:
        """A vector with the bits set where `threshold` or more of the inputs are."""
        asm = self.asm
        if inputs <= STRAIGHT:
            return self._run(at_least(inputs, threshold), load, I64(0), [])[-1]
        top, start = planes_for(inputs, threshold)
        planes = [self._constant(-(start >> w & 1)) for w in range(top + 1)]
        before, full = asm.block, I64(inputs // CHUNK)
        with asm.loop(full, sure=True) as chunk:
            carried = [asm.phi(self.vector) for _ in planes]
            for phi, plane in zip(carried, planes, strict=True):
                phi.add_incoming(plane, before)
            adders = accumulate(CHUNK, len(planes))
            planes = self._run(adders, load, asm.mul(chunk, I64(CHUNK)), carried)
            for phi, plane in zip(carried, planes, strict=True):
                phi.add_incoming(plane, asm.block)
        rest = accumulate(inputs % CHUNK, len(planes))
        return self._run(rest, load, asm.mul(full, I64(CHUNK)), planes)[-1]

    def _run(self, wiring: Wiring, load: Load, base: Any, planes: list[Any]) -> list[Any]:
        """Emit the adders. Inputs, from `base` on, are loaded as they are needed: registers are
        few.
        """
        known = dict(enumerate(planes, wiring.inputs))
        for step in wiring.steps:
            for bit in step.bits:
                if bit not in known:
                    known[bit] = load(base, bit, wiring.inputs)
            low, high = self._adder(step, [known[bit] for bit in step.bits])
            if step.low is not None:
                known[step.low] = low
            if step.high is not None:
                known[step.high] = high
        for answer in wiring.outputs:
            if answer is not None and answer not in known:
                known[answer] = load(base, answer, wiring.inputs)
        return [None if answer is None else known[answer] for answer in wiring.outputs]

    def _adder(self, step: Step, bits: list[Any]) -> tuple[Any, Any]:
        """Sum and carry of one step. LLVM drops what is not used."""
        asm = self.asm
        if step.one:
            either = bits[0] if len(bits) == 1 else asm.or_(*bits)
            odd = bits[0] if len(bits) == 1 else asm.xor(*bits)
            return asm.not_(odd), either
        if len(bits) == 2:
            return asm.xor(*bits), asm.and_(*bits)
        x, y, z = bits
        if self.instructions is Instructions.AVX512:
            return self._ternary(x, y, z, step)
        odd = asm.xor(x, y)
        return asm.xor(odd, z), asm.or_(asm.and_(odd, z), asm.and_(x, y))

    def _ternary(self, x: Any, y: Any, z: Any, step: Step) -> tuple[Any, Any]:
        """One instruction each. LLVM finds the sum's, but takes two for a carry unless told."""
        low = self._table(x, y, z, lambda x, y, z: x ^ y ^ z)
        if step.low is None:
            return low, self._table(x, y, z, lambda x, y, z: x + y + z >= 2)
        # z is the sum here: the third bit is read once, straight from memory, with no copy made.
        return low, self._table(x, y, low, lambda x, y, z: x + y + (x ^ y ^ z) >= 2)

    def _table(self, x: Any, y: Any, z: Any, truth: Callable[[int, int, int], int]) -> Any:
        """Any function of three bits, by its truth table."""
        table = sum(truth(i >> 2, i >> 1 & 1, i & 1) << i for i in range(8))
        name = f"llvm.x86.avx512.pternlog.q.{8 * self.bytes}"
        return self._external(name, self.vector, [x, y, z, I32(table)])

    def _call(self, name: str, result: Any, value: Any) -> Any:
        return self._external(f"{name}.v{self.vector.count}i64", result, [value])

    def _external(self, name: str, result: Any, values: list[Any]) -> Any:
        module = self.asm.module
        function = module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [value.type for value in values])
            function = ir.Function(module, kind, name)
        return self.asm.call(function, values)

    def _constant(self, word: int) -> Any:
        return ir.Constant(self.vector, [word] * self.vector.count)

    def _get(self, pointer: Any) -> Any:
        return self.asm.get(self.vector, pointer, align=self.bytes)

    def _put(self, vector: Any, r: Any) -> None:
        self.asm.put(vector, self.ballot, r, align=self.bytes)
