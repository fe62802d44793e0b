"""Who votes in given ensembles, for reports: names, details, how often each model is a member."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ensemble.drawing import SHIFT
from ensemble.kernel import kernel_for, pool_of
from ensemble.native import Instructions
from ensemble.search import Search
from storage.ensembles import Detail
from storage.records import ModelName

BEST = 1_000
"""Among so many of the best ensembles members are counted for a picture."""

Members = NDArray[np.int64]  # (rounds, members), places in the list of candidates


def members(search: Search, ensemble_no: int, models: int) -> Members:
    """The members of one ensemble, as ensemble.sampling.members_of says, drawn by machine code."""
    rule = search.rule
    drawn = np.empty((1, rule.rounds, rule.members), dtype=np.uint32)
    kernel = kernel_for(rule, Instructions.available()[0])
    kernel.draw(search.seed, ensemble_no, drawn, pool_of(models))
    places: Members = (drawn[0] >> SHIFT).astype(np.int64)
    return places


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
