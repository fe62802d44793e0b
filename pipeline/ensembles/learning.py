"""Every way to combine the candidates, learned on valid.

vote      the best ensemble of the search
all       every model votes once; more than half decide
mean      the mean of all scores
greedy    greedy selection with replacement
weighted  a weighted mean
stack     a logistic regression on the scores
single    the model that is best on valid, at its own threshold
tuned     the model that is best on valid when each has the threshold that is best there

What decides by a score has the threshold that is best on valid by the batch's metric.
"""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from ensemble import baselines as ways
from ensemble import blend, reference
from ensemble.blend import Blend
from ensemble.metrics import merit
from models.scores import decide
from pipeline.ensembles import drawing
from pipeline.ensembles.combining import Ballot, Combination, Rounds, Sum
from pipeline.ensembles.searching import Searched
from pipeline.ensembles.stored_scores import Board, ScoredPart
from storage.records import ModelName

ORDER = ("vote", "all", "mean", "greedy", "weighted", "stack", "tuned", "single")
"""In which methods are shown."""


def baselines(board: Board, metric: str) -> dict[str, Combination]:
    """Every method but the search's; nothing but valid is looked at. Takes seconds."""
    part, names = board.valid, names_of(board)
    labels = part.y == 1
    learners = ways.find()  # before the limit, which holds for libraries that are loaded
    # The workers have the cores meanwhile; and one thread sums in one order, on any machine.
    with threadpool_limits(1):
        learned = {name: learn(part.scores, labels, metric) for name, learn in learners.items()}
    learned |= {"single": _single(board, metric), "tuned": _tuned(board, metric)}
    return {name: Sum.named(found, names) for name, found in learned.items()}


def winner(searched: Searched, names: Sequence[ModelName]) -> Rounds:
    """The best ensemble of a search."""
    search = searched.order.search
    number = int(searched.best.numbers[0])
    drawn = drawing.members(search, number, len(names))
    return Rounds(
        seed=search.seed,
        tried=searched.spans,
        ensemble_no=number,
        round_votes=search.rule.round_votes,
        final_votes=search.rule.final_votes,
        rounds=drawing.named(drawn, names),
    )


def ballot_of(board: Board, part: ScoredPart) -> Ballot:
    """What the candidates say of one part."""
    names = names_of(board)
    return Ballot(
        scores=dict(zip(names, part.scores, strict=True)),
        votes=dict(zip(names, part.votes, strict=True)),
    )


def names_of(board: Board) -> tuple[ModelName, ...]:
    return tuple(model.name for model in board.models)


def _single(board: Board, metric: str) -> Blend:
    counts = reference.confusion(board.valid.votes, board.valid.y == 1)
    best = int(np.argmax(merit(metric, counts)))
    # Rounded as models.scores.decide rounds it, so that the decision is the model's own.
    return _one("single", best, len(board.models), float(np.float32(board.models[best].threshold)))


def _tuned(board: Board, metric: str) -> Blend:
    labels = board.valid.y == 1
    best, merit_of_best, threshold = 0, -np.inf, 0.0
    for place, score in enumerate(board.valid.scores):
        cut = blend.best_threshold(score, labels, metric)
        found = float(merit(metric, reference.confusion(decide(score, cut), labels)))
        if found > merit_of_best:
            best, merit_of_best, threshold = place, found, cut
    return _one("tuned", best, len(board.models), threshold)


def _one(method: str, place: int, models: int, threshold: float) -> Blend:
    weights = tuple(float(other == place) for other in range(models))
    return Blend(method=method, of="scores", weights=weights, threshold=threshold)
