"""Counting bits with bits: which carry-save adders tell whether at least t of n inputs are 1.

Numbers are kept across bit planes: plane w holds the bit of weight 2^w of many counters at once, a
counter a bit lane. A full adder turns three bits of weight 2^w into one of weight 2^w and one of
2^(w+1). To compare with t for nothing, counting starts at 2^k - t, so that plane k is the answer:
the count has reached t if and only if the sum has reached 2^k.

What stands here is the wiring alone, as a list of steps. count_code.py makes machine code of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

ONE = -1
"""The id of a bit that is always 1. Other ids count from 0."""


@dataclass(frozen=True)
class Step:
    """Add two or three bits of one weight. An output that nobody reads is None."""

    bits: tuple[int, ...]
    one: bool  # a constant 1 is added too, and stands for one of the three
    low: int | None  # id of the sum's bit of the same weight
    high: int | None  # id of the carry, of twice the weight


@dataclass(frozen=True)
class Wiring:
    """A straight line of adders. Ids 0 .. inputs - 1 are the inputs; `planes` ids come next."""

    inputs: int
    planes: int
    steps: tuple[Step, ...]
    outputs: tuple[int | None, ...]  # one id a plane; None: always 0


def planes_for(inputs: int, threshold: int) -> tuple[int, int]:
    """The answering plane k, and the value 2^k - threshold from which to count."""
    k = 0
    while 2**k < threshold or inputs - threshold >= 2**k:
        k += 1
    return k, 2**k - threshold


def at_least(inputs: int, threshold: int) -> Wiring:
    """Whether `threshold` or more of the inputs are 1: the last of its outputs."""
    k, start = planes_for(inputs, threshold)
    constants = [ONE if start >> w & 1 else None for w in range(k + 1)]
    return _needed(_wire(inputs, 0, constants), {k})


def accumulate(inputs: int, planes: int) -> Wiring:
    """Add the inputs to a number kept in `planes` planes. It must not outgrow them."""
    return _needed(_wire(inputs, planes, range(inputs, inputs + planes)), set(range(planes)))


def _wire(inputs: int, planes: int, start: Sequence[int | None]) -> Wiring:
    """Adders in the order of the inputs, each as soon as three bits of a weight are there: few
    bits wait at any time, so that they stay in registers.
    """
    columns: list[list[int]] = [[] if bit is None else [bit] for bit in start]
    steps: list[Step] = []
    unused = inputs + planes

    def add(weight: int) -> None:
        nonlocal unused
        column = columns[weight]
        bits = tuple(bit for bit in column if bit != ONE)
        steps.append(Step(bits, len(bits) < len(column), unused, unused + 1))
        columns[weight] = [unused]
        unused += 2
        if weight + 1 < len(columns):
            push(weight + 1, unused - 1)

    def push(weight: int, bit: int) -> None:
        columns[weight].append(bit)
        if len(columns[weight]) == 3:
            add(weight)

    for bit in range(inputs):
        push(0, bit)
    for weight in range(len(columns)):
        if len(columns[weight]) == 2:
            add(weight)
    outputs = tuple(column[0] if column else None for column in columns)
    return Wiring(inputs, planes, tuple(steps), outputs)


def _needed(wiring: Wiring, wanted: set[int]) -> Wiring:
    """The wiring without outputs that nobody reads, and without steps that only lead to such."""
    outputs = tuple(bit if w in wanted else None for w, bit in enumerate(wiring.outputs))
    read = {bit for bit in outputs if bit is not None}
    kept = []
    for step in reversed(wiring.steps):
        low = step.low if step.low in read else None
        high = step.high if step.high in read else None
        if low is not None or high is not None:
            kept.append(replace(step, low=low, high=high))
            read.update(step.bits)
    return replace(wiring, steps=tuple(reversed(kept)), outputs=outputs)
