"""How votes may be counted: votes.count on the processor, or a GPU that counts as it does."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from configs import plugins
from configs.errors import CardUnusable
from ensemble.rule import Rule
from ensemble.votes import Part, count, pack

PROBE = Rule(members=5, rounds=3, round_votes=2, final_votes=2)


class Counter(Protocol):
    """votes.count, or what does the same elsewhere."""

    def __call__(
        self, parts: Sequence[Part], rule: Rule, seed: int, first: int, last: int
    ) -> npt.NDArray[np.int64]:
        """tn, fp, fn, tp of ensembles first, ..., last - 1: (parts, last - first, 4)."""
        ...


def of_card() -> Counter:
    """The card's counter, once it has given the processor's integers.

    Raises:
        CardUnusable: it cannot be used, for whatever reason.
    """
    try:
        counter: Counter = plugins.load("ensemble.gpu").count
        right = agrees(counter)
    except Exception as error:
        said = " ".join(str(error).split())
        raise CardUnusable(f"it cannot count votes: {type(error).__name__}: {said}") from error
    if not right:
        raise CardUnusable("it counts other votes than the processor")
    return counter


def agrees(counter: Counter) -> bool:
    """Whether a counter gives the processor's integers on a small problem of many words."""
    rng = np.random.default_rng(0)
    votes, labels = rng.random((9, 5000)) < 0.4, rng.random(5000) < 0.3
    parts = [pack(votes[:, :3000], labels[:3000]), pack(votes[:, 3000:], labels[3000:])]
    mine, theirs = (way(parts, PROBE, 42, 1, 30) for way in (count, counter))
    return np.array_equal(mine, theirs)
