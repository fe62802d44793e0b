"""Machine code at run time: LLVM assembly in, callable functions out, for this processor."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from llvmlite import binding, ir

I32, I64 = ir.IntType(32), ir.IntType(64)
BYTE = ir.IntType(8)
POINTER = ir.PointerType()


class Instructions(Enum):
    """Vector instructions to use; the value is the vectors' width in 64-bit words."""

    AVX512 = 8
    AVX2 = 4
    GENERIC = 2  # whatever 128-bit instructions the processor has, of x86 or not

    @classmethod
    def available(cls) -> "list[Instructions]":
        """What this processor has, best first."""
        features = binding.get_host_cpu_features()
        needed = {
            cls.AVX512: ("avx512f", "avx512bw", "avx512vl"),
            cls.AVX2: ("avx2",),
            cls.GENERIC: (),
        }
        return [each for each in cls if all(map(features.get, needed[each]))]


class Code:
    """Machine code in memory, and the functions in it. They release the interpreter lock."""

    def __init__(self, module: ir.Module, instructions: Instructions) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        parsed = binding.parse_assembly(str(module))
        parsed.verify()
        self._engine = binding.create_mcjit_compiler(parsed, _machine(instructions))
        self._engine.finalize_object()

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """A function of the module by name, with ctypes types. Keep the Code while it is used."""
        address = self._engine.get_function_address(name)
        return ctypes.CFUNCTYPE(result, *arguments)(address)


def _machine(instructions: Instructions) -> Any:
    """The host, less the instructions that are not to be used."""
    avoid = {
        Instructions.AVX512: (),
        Instructions.AVX2: ("avx512", "avx10"),
        Instructions.GENERIC: ("avx", "fma", "f16c", "xop"),
    }[instructions]
    features = binding.get_host_cpu_features()
    for name in features:
        if name.startswith(avoid):
            features[name] = False
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features.flatten(), opt=3
    )


class Assembler(ir.IRBuilder):  # type: ignore[misc]
    """LLVM's builder, with the few shapes that our functions are made of."""

    @classmethod
    def begin(
        cls, module: ir.Module, name: str, result: Any, arguments: Sequence[Any]
    ) -> "tuple[Assembler, list[Any]]":
        """Begin a function whose pointers never overlap, or nothing would be vectorised."""
        function = ir.Function(module, ir.FunctionType(result, arguments), name)
        for argument in function.args:
            if argument.type == POINTER:
                argument.add_attribute("noalias")
        return cls(function.append_basic_block("entry")), list(function.args)

    @contextmanager
    def loop(self, times: Any, *, sure: bool = False) -> Iterator[Any]:
        """Run the block `times` times; it is given its number, from 0.

        sure: at least once, so that what the block computes can be used after it.
        """
        before = self.block
        body = self.append_basic_block("loop")
        after = self.append_basic_block("end")
        if sure:
            self.branch(body)
        else:
            self.cbranch(self.icmp_signed("<", I64(0), times), body, after)
        self.position_at_end(body)
        number = self.phi(I64)
        number.add_incoming(I64(0), before)
        yield number
        following = self.add(number, I64(1))
        number.add_incoming(following, self.block)
        self.cbranch(self.icmp_signed("<", following, times), body, after)
        self.position_at_end(after)

    def splat(self, value: Any, lanes: int) -> Any:
        """A vector with `value` in every lane."""
        vector = ir.VectorType(value.type, lanes)
        one = self.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
        mask = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)

    def at(self, pointer: Any, offset: Any, unit: Any = BYTE) -> Any:
        """The address `offset` units after `pointer`."""
        return self.gep(
            pointer, [I64(offset) if isinstance(offset, int) else offset], source_etype=unit
        )

    def get(self, kind: Any, pointer: Any, offset: Any = 0, align: int = 4) -> Any:
        """Read a value, the `offset`-th of its kind."""
        return self.load(self.at(pointer, offset, kind), align=align, typ=kind)

    def put(self, value: Any, pointer: Any, offset: Any = 0, align: int = 4) -> None:
        """Write a value as the `offset`-th of its kind."""
        self.store(value, self.at(pointer, offset, value.type), align=align)
