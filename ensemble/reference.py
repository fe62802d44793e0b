"""Voting ensembles in plain NumPy: the definition that every faster way must match exactly."""

import numpy as np
import numpy.typing as npt

from ensemble.rule import Rule
from ensemble.sampling import members_of
from models.metrics import confusion

Votes = npt.NDArray[np.bool_]


def round_ones(votes: Votes, members: npt.NDArray[np.integer], rule: Rule) -> npt.NDArray[np.int64]:
    """How many rounds say 1, for each row.

    votes: (models, rows). members: (rounds, members) model numbers. Returns (rows,), 0 to rounds.
    """
    ones = np.zeros(votes.shape[1], dtype=np.int64)
    for chosen in members:
        ones += votes[chosen].sum(axis=0) >= rule.round_votes
    return ones


def decide(votes: Votes, members: npt.NDArray[np.integer], rule: Rule) -> Votes:
    """The ensemble's decision for each row: (rows,)."""
    return round_ones(votes, members, rule) >= rule.final_votes


def count(
    votes: Votes, labels: Votes, rule: Rule, seed: int, first: int, last: int
) -> npt.NDArray[np.int64]:
    """tn, fp, fn, tp of ensembles first, ..., last - 1: (last - first, 4).

    votes: (models, rows). labels: (rows,). Ensembles are numbered from 1.
    """
    rule.check(len(votes))
    decisions = [
        decide(votes, members_of(seed, e, rule.rounds, rule.members, len(votes)), rule)
        for e in range(first, last)
    ]
    return confusion(np.array(decisions).reshape(last - first, votes.shape[1]), labels)
