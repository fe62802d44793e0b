"""A card to count votes on, used only where it counts as the processor does."""

import numpy as np

from configs import plugins
from configs.errors import CardUnusable
from ensemble.rule import Rule
from ensemble.votes import Count, count, pack

PROBE = Rule(members=5, rounds=3, round_votes=2, final_votes=2)


def proven_count() -> Count:
    """The card's count, once it has given the processor's integers.

    Raises:
        CardUnusable: it cannot be used, for whatever reason.
    """
    try:
        on_card: Count = plugins.load("ensemble.gpu").count
        right = agrees(on_card)
    except Exception as error:
        said = " ".join(str(error).split())
        raise CardUnusable(f"it cannot count votes: {type(error).__name__}: {said}") from error
    if not right:
        raise CardUnusable("it counts other votes than the processor")
    return on_card


def agrees(other: Count) -> bool:
    """Whether another count gives the processor's integers on a small problem of many words."""
    rng = np.random.default_rng(0)
    votes, labels = rng.random((9, 5000)) < 0.4, rng.random(5000) < 0.3
    parts = [pack(votes[:, :3000], labels[:3000]), pack(votes[:, 3000:], labels[3000:])]
    mine, theirs = (way(parts, PROBE, 42, 1, 30) for way in (count, other))
    return np.array_equal(mine, theirs)
