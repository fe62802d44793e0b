"""The same draws and counts on an NVIDIA GPU, by Numba: the same integers as votes.py.

One thread draws one round, by the definition of sampling.py, in a pool of its own in global
memory. One block of threads then lets one ensemble vote; a thread takes every so many words of 32
rows and counts in bit planes, as adders.py says, but a model at a time.

Importing this needs numba with its CUDA target; card.py imports it only where there is a GPU.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numba.cuda
import numpy as np
import numpy.typing as npt
from numba import config, int32, int64, uint32, uint64

from ensemble.adders import planes_for
from ensemble.rule import Rule
from ensemble.sampling import MULTIPLIERS, PHILOX_ROUNDS, WEYL
from ensemble.votes import Part, check, counts_of

cuda: Any = numba.cuda  # its type stubs lack what a kernel uses

# The last step of a search, and a small one, need not fill a card.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # type: ignore[attr-defined]

LEFT, RIGHT = (uint64(multiplier) for multiplier in MULTIPLIERS)
LOW_STEP, HIGH_STEP = (uint64(step) for step in WEYL)
MASK, HALF = uint64(0xFFFFFFFF), uint64(32)
SCRATCH_BYTES = 2**28
"""Pools and members of as many ensembles as fit here are on the device at a time."""
THREADS = 128


@cuda.jit(device=True)  # type: ignore[untyped-decorator]
def _philox(block: Any, round_no: Any, number: Any, seed: Any, word: Any) -> None:
    """Four words into `word`. All are u64."""
    a, b, c, d = block, round_no, number & MASK, number >> HALF
    low, high = seed & MASK, seed >> HALF
    for _ in range(PHILOX_ROUNDS):
        left, right = LEFT * a, RIGHT * c
        a, b = (right >> HALF) ^ b ^ low, right & MASK
        c, d = (left >> HALF) ^ d ^ high, left & MASK
        low, high = (low + LOW_STEP) & MASK, (high + HIGH_STEP) & MASK
    word[0], word[1], word[2], word[3] = a, b, c, d


@cuda.jit  # type: ignore[untyped-decorator]
def _draw(seed: Any, first: Any, models: Any, pool: Any, chosen: Any) -> None:
    """chosen: (ensembles, rounds, members) u32, the result. pool: room for (models, ensembles *
    rounds) u32. seed, first: u64.
    """
    thread = cuda.grid(1)
    rounds, members = chosen.shape[1], chosen.shape[2]
    if thread >= chosen.shape[0] * rounds:
        return
    e, r = thread // rounds, thread % rounds
    for i in range(models):
        pool[i, thread] = i
    word = cuda.local.array(4, uint64)
    read = 0
    for i in range(members):
        left = uint64(models - i)
        product, accepted = uint64(0), False
        while not accepted:
            if read % 4 == 0:
                _philox(uint64(read // 4), uint64(r + 1), first + uint64(e), seed, word)
            product = word[read % 4] * left
            accepted = (product & MASK) >= (MASK + uint64(1)) % left
            read += 1
        j = i + int64(product >> HALF)
        chosen[e, r, i] = pool[j, thread]
        pool[j, thread] = pool[i, thread]


@lru_cache(maxsize=16)
def _kernel(rule: Rule) -> Any:  # noqa: C901 - a kernel is one function
    """The kernel that counts by this rule; its numbers are constants of the machine code."""
    top, start = planes_for(rule.members, rule.round_votes)
    final_top, final_start = planes_for(rule.rounds, rule.final_votes)
    planes, final_planes = top + 1, final_top + 1
    members, rounds = rule.members, rule.rounds

    @cuda.jit  # type: ignore[untyped-decorator]
    def kernel(bits: Any, masks: Any, chosen: Any, hits: Any) -> None:
        """bits: (models, words) u32. masks: (2, words) u32. hits: (ensembles, 2) i64, tp and fp."""
        e = cuda.blockIdx.x
        sums = cuda.shared.array(2, int32)
        if cuda.threadIdx.x < 2:
            sums[cuda.threadIdx.x] = 0
        cuda.syncthreads()
        total = cuda.local.array(final_planes, uint32)
        votes = cuda.local.array(planes, uint32)
        right, wrong = 0, 0
        for word in range(cuda.threadIdx.x, bits.shape[1], cuda.blockDim.x):
            for p in range(final_planes):
                total[p] = MASK * uint64(final_start >> p & 1)
            for r in range(rounds):
                for p in range(planes):
                    votes[p] = MASK * uint64(start >> p & 1)
                for m in range(members):
                    carry = bits[chosen[e, r, m], word]
                    for p in range(planes):
                        votes[p], carry = votes[p] ^ carry, uint32(votes[p] & carry)
                carry = votes[top]
                for p in range(final_planes):
                    total[p], carry = total[p] ^ carry, uint32(total[p] & carry)
            right += cuda.popc(total[final_top] & masks[0, word])
            wrong += cuda.popc(total[final_top] & masks[1, word])
        cuda.atomic.add(sums, 0, int32(right))
        cuda.atomic.add(sums, 1, int32(wrong))
        cuda.syncthreads()
        if cuda.threadIdx.x < 2:
            hits[e, cuda.threadIdx.x] = sums[cuda.threadIdx.x]

    return kernel


def count(
    parts: Sequence[Part], rule: Rule, seed: int, first: int, last: int
) -> npt.NDArray[np.int64]:
    """tn, fp, fn, tp of ensembles first, ..., last - 1 on each part: as votes.count."""
    models = check(parts, rule, seed, first)
    bits = [cuda.to_device(_rows(part.bits)) for part in parts]
    masks = [cuda.to_device(_rows(part.masks.transpose(1, 0, 2))) for part in parts]
    hits = np.zeros((len(parts), max(last - first, 0), 2), dtype=np.int64)
    step = max(1, SCRATCH_BYTES // (4 * rule.rounds * (models + rule.members)))
    step = min(step, max(last - first, 1))
    pool = cuda.device_array((models, step * rule.rounds), dtype=np.uint32)
    kernel = _kernel(rule)
    for start in range(first, last, step):
        size = min(step, last - start)
        chosen = cuda.device_array((size, rule.rounds, rule.members), dtype=np.uint32)
        blocks = -(-size * rule.rounds // THREADS)
        _draw[blocks, THREADS](np.uint64(seed), np.uint64(start), models, pool, chosen)
        for i in range(len(parts)):
            counted = cuda.device_array((size, 2), dtype=np.int64)
            kernel[size, THREADS](bits[i], masks[i], chosen, counted)
            hits[i, start - first : start - first + size] = counted.copy_to_host()
    return counts_of(parts, hits)


def _rows(tiles: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """(tiles, models, 8) u64 as (models, tiles * 16) u32: neighbouring threads read neighbours."""
    words = np.ascontiguousarray(tiles.transpose(1, 0, 2)).astype("<u8").view("<u4")
    return words.reshape(tiles.shape[1], -1)
