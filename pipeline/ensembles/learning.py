"""Every way to combine the candidates, learned on valid.

What decides by a score has the threshold that is best on valid by the batch's metric. For a
blend it lies half way between two scores, so that rounding elsewhere changes nothing; for `tuned`
it is the score that training would have chosen for that model.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from configs.errors import BadData
from ensemble import baselines as ways
from ensemble.blend import Blend
from models import thresholds
from models.metrics import confusion, merit
from models.scores import decide
from pipeline.ensembles import voters
from pipeline.ensembles.combining import Ballot, Rounds, Sum
from pipeline.ensembles.searching import Searched
from pipeline.ensembles.stored_scores import Board, ScoredPart
from storage.records import ModelName, TrainedModel

METHODS: Mapping[str, str] = {
    "vote": "vote: best of the search",
    "all": "all models vote",
    "mean": "mean of all scores",
    "greedy": "greedy selection",
    "weighted": "weighted mean",
    "stack": "stacking",
    "tuned": "best single, tuned",
    "single": "best single model",
}
"""What pictures call them, in the order in which they are shown."""


def baselines(board: Board, metric: str) -> dict[str, Sum]:
    """Every method but the search's; nothing but valid is looked at. Takes seconds."""
    part = board.valid
    labels = part.y == 1
    learners = ways.find()  # before the limit, which holds for libraries that are loaded
    # The workers have the cores meanwhile; and one thread sums in one order, on any machine.
    with threadpool_limits(1):
        learned = {name: learn(part.scores, labels, metric) for name, learn in learners.items()}
    combined = {name: Sum.named(blend, board.names) for name, blend in learned.items()}
    return combined | {"single": _single(board, metric), "tuned": _tuned(board, metric)}


def winner(searched: Searched, names: Sequence[ModelName]) -> Rounds:
    """The best ensemble of a search."""
    search = searched.order.search
    number = int(searched.best.numbers[0])
    drawn = voters.members(search, number, len(names))
    return Rounds(
        seed=search.seed,
        tried=searched.spans,
        ensemble_no=number,
        round_votes=search.rule.round_votes,
        final_votes=search.rule.final_votes,
        rounds=voters.named(drawn, names),
    )


def ballot_of(board: Board, part: ScoredPart) -> Ballot:
    """What the candidates say of one part."""
    return Ballot(
        scores=dict(zip(board.names, part.scores, strict=True)),
        votes=dict(zip(board.names, part.votes, strict=True)),
    )


def _single(board: Board, metric: str) -> Sum:
    """The model that is best at its own threshold."""
    counts = confusion(board.valid.votes, board.valid.y == 1)
    model = board.models[int(np.argmax(merit(metric, counts)))]
    # Rounded as models.scores.decide rounds it, so that the decision is the model's own.
    return _alone("single", model, float(np.float32(model.threshold)))


def _tuned(board: Board, metric: str) -> Sum:
    """The model that is best when each has the threshold that is best for it."""
    labels = board.valid.y == 1
    best, merit_of_best, threshold = board.models[0], -np.inf, 0.0
    for model, score in zip(board.models, board.valid.scores, strict=True):
        try:
            cut = thresholds.choose(thresholds.Best(metric), board.valid.y, score)
        except BadData:  # no threshold of this model defines the metric
            continue
        value = float(merit(metric, confusion(decide(score, cut), labels)))
        if value > merit_of_best:
            best, merit_of_best, threshold = model, value, cut
    return _alone("tuned", best, threshold)


def _alone(method: str, model: TrainedModel, threshold: float) -> Sum:
    blend = Blend(method=method, of="scores", weights=(1.0,), threshold=threshold)
    return Sum(blend=blend, members=(model.name,))
