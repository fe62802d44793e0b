"""Who votes in given ensembles, for reports: names, details, how often each model is a member."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ensemble import votes
from ensemble.search import Search
from storage.ensembles import Detail
from storage.records import ModelName

BEST = 1_000
"""Among so many of the best ensembles members are counted for a picture."""

Members = NDArray[np.int64]  # (rounds, members), places in the list of candidates


def members(search: Search, ensemble_no: int, models: int) -> Members:
    """The members of one ensemble of a search."""
    return votes.members(search.rule, search.seed, ensemble_no, models)


def named(drawn: Members, names: Sequence[ModelName]) -> tuple[tuple[ModelName, ...], ...]:
    """The members of each round by name."""
    return tuple(tuple(names[place] for place in round_) for round_ in drawn)


def details(
    search: Search, numbers: Sequence[int], names: Sequence[ModelName]
) -> tuple[Detail, ...]:
    """A row for each round of each ensemble."""
    rows = []
    for number in numbers:
        rounds = named(members(search, number, len(names)), names)
        rows += [
            Detail(ensemble_no=number, round_no=round_no, members=json.dumps(chosen))
            for round_no, chosen in enumerate(rounds, start=1)
        ]
    return tuple(rows)


def shares(search: Search, numbers: Sequence[int], models: int) -> NDArray[np.float64]:
    """In what share of all rounds of these ensembles each model votes: (models,)."""
    total = np.zeros(models, dtype=np.int64)
    for number in numbers:
        total += np.bincount(members(search, number, models).ravel(), minlength=models)
    return total / max(1, len(numbers) * search.rule.rounds)
