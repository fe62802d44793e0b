"""Batches between bare loops of the same fits. The speed of a shared machine drifts by a tenth
within minutes, so each batch is held against the loops just before and after it.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_OVERHEAD = 0.10


@dataclass(frozen=True, slots=True)
class Paired:
    """Wall-clock seconds; there is one bare loop more than there are batches."""

    batches: Sequence[float]
    bare: Sequence[float]

    @property
    def overheads(self) -> list[float]:
        """Of each batch, over the mean of its two neighbours."""
        neighbours = zip(self.batches, self.bare, self.bare[1:], strict=False)
        return [2 * batch / (before + after) - 1 for batch, before, after in neighbours]

    @property
    def overhead(self) -> float:
        return statistics.median(self.overheads)

    def lines(self) -> list[str]:
        each = ", ".join(f"{overhead:+.1%}" for overhead in self.overheads)
        wanted = f"at most {MOST_OVERHEAD:.0%} wanted"
        return [
            f"batch, claim to C:            {_all(self.batches)} s",
            f"the same fits, bare, between: {_all(self.bare)} s",
            f"overhead: {self.overhead:+.1%} in the median of {each} ({wanted})",
        ]


def measure(batch: Callable[[], float], bare: Callable[[], float], rounds: int) -> Paired:
    loops, batches = [bare()], []
    for _ in range(rounds):
        batches.append(batch())
        loops.append(bare())
    return Paired(batches, loops)


def _all(seconds: Sequence[float]) -> str:
    return ", ".join(f"{s:.1f}" for s in seconds)
