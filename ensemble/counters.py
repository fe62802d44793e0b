"""Which way to count votes is the fastest here: a GPU, if there is one that counts rightly."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ensemble.native import Instructions
from ensemble.rule import Rule
from ensemble.votes import Part, count, pack

DRIVER = Path("/proc/driver/nvidia/version")
PROBE = Rule(members=5, rounds=3, round_votes=2, final_votes=2)


class Counter(Protocol):
    """votes.count, or what does the same elsewhere."""

    def __call__(
        self,
        parts: Sequence[Part],
        rule: Rule,
        seed: int,
        first: int,
        last: int,
        instructions: Instructions | None = None,
    ) -> npt.NDArray[np.int64]:
        """tn, fp, fn, tp of ensembles first, ..., last - 1: (parts, last - first, 4)."""
        ...


def fastest() -> Counter:
    """The GPU's counter where a GPU is there and gives the processor's integers; else votes.count.

    A GPU that cannot be used, for whatever reason, is no reason to fail: the result is the same.
    """
    if not DRIVER.exists():
        return count
    try:
        counter: Counter = import_module("ensemble.gpu").count
        return counter if agrees(counter) else count
    except Exception:
        return count


def agrees(counter: Counter) -> bool:
    """Whether a counter gives the processor's integers on a small problem of many words."""
    rng = np.random.default_rng(0)
    votes, labels = rng.random((9, 5000)) < 0.4, rng.random(5000) < 0.3
    parts = [pack(votes[:, :3000], labels[:3000]), pack(votes[:, 3000:], labels[3000:])]
    mine, theirs = (way(parts, PROBE, 42, 1, 30) for way in (count, counter))
    return np.array_equal(mine, theirs)
