"""Which models vote: the definition, in plain Python. kernel.py draws the same, faster.

Round r of ensemble e reads 32-bit words from a stream of its own: the outputs of Philox4x32-10
(Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) under the
key `seed` at the counters (0, r, e), (1, r, e), (2, r, e), ..., four words each, in order:

    key     = (seed mod 2^32, seed div 2^32)
    counter = (block, r, e mod 2^32, e div 2^32)

Ensembles and rounds are numbered from 1, as in dc_batch_result_t4 and dc_batch_detail_t4; blocks
from 0. A partial Fisher-Yates shuffle takes the members: with pool = [0, ..., models - 1], step
i = 0, 1, ... swaps pool[i] with pool[i + x], where x is uniform on 0 .. models - i - 1, and
pool[i] is the next member. x comes from Lemire's multiplication ("Fast random integer generation
in an interval", ACM TOMACS 29(1), 2019): with n = models - i and w the next word of the stream,
x = w * n div 2^32, unless w * n mod 2^32 < 2^32 mod n; such a word is rejected, which makes x
exactly uniform.

So every set of `members` models is equally likely, and a round's members depend on the seed, e, r
and the number of models alone. Asking for fewer members gives the first of the same list.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from configs.errors import BadParameter
from configs.wording import counted

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
PHILOX_ROUNDS = 10
WORD = 2**32

SEEDS = 2**64
ENSEMBLES = 2**63
"""Seeds are below the first, ensemble numbers below the second."""


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10: four random words for a counter of four words and a key of two."""
    a, b, c, d = counter
    low, high = key
    for _ in range(PHILOX_ROUNDS):
        left, right = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b, c, d = (
            (right // WORD) ^ b ^ low,
            right % WORD,
            (left // WORD) ^ d ^ high,
            left % WORD,
        )
        low, high = (low + WEYL[0]) % WORD, (high + WEYL[1]) % WORD
    return a, b, c, d


def words(seed: int, ensemble_no: int, round_no: int) -> Iterator[int]:
    """The stream of one round, without end (for 2^34 words, to be exact)."""
    key = (seed % WORD, seed // WORD)
    for block in range(WORD):
        yield from philox((block, round_no, ensemble_no % WORD, ensemble_no // WORD), key)


def below(bound: int, stream: Iterator[int]) -> int:
    """A number uniform on 0 .. bound - 1, from one word or, rarely, more."""
    for word in stream:
        product = word * bound
        if product % WORD >= WORD % bound:
            return product // WORD
    raise AssertionError("the stream has no end")


def round_members(
    seed: int, ensemble_no: int, round_no: int, members: int, models: int
) -> list[int]:
    """The models that vote in one round, distinct, in the order drawn, numbered from 0."""
    stream = words(seed, ensemble_no, round_no)
    moved: dict[int, int] = {}  # the pool where it differs from 0, 1, 2, ...
    drawn = []
    for i in range(members):
        j = i + below(models - i, stream)
        drawn.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return drawn


def members_of(
    seed: int, ensemble_no: int, rounds: int, members: int, models: int
) -> npt.NDArray[np.int64]:
    """The models of one ensemble: (rounds, members), numbered from 0; row r - 1 is round r.

    Raises:
        BadParameter: the seed or ensemble number is out of range, or members exceed models.
    """
    check(seed, ensemble_no, members, models)
    drawn = [round_members(seed, ensemble_no, r + 1, members, models) for r in range(rounds)]
    return np.array(drawn, dtype=np.int64).reshape(rounds, members)


def check(seed: int, ensemble_no: int, members: int, models: int) -> None:
    """Raise BadParameter unless such members can be drawn."""
    if not 0 <= seed < SEEDS:
        raise BadParameter(f"seed is {seed}; allowed are 0 to 2^64 - 1")
    if not 1 <= ensemble_no < ENSEMBLES:
        raise BadParameter(f"ensemble number is {ensemble_no}; the first is 1, the last 2^63 - 1")
    if not 1 <= members <= models:
        raise BadParameter(
            f"members is {members}; with {counted(models, 'candidate model')} it can be 1 to "
            f"{models}"
        )
