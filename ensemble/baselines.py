"""The ways to combine models that a search is held against, by the names `method` has for them."""

from collections.abc import Callable, Mapping

from configs import plugins
from ensemble.blend import Blend, Labels, Scores, all_vote, mean, weighted
from ensemble.greedy import greedy

Learn = Callable[[Scores, Labels, str], Blend]
"""A Blend from scores (models, rows) and labels (rows,) of valid, for a metric."""


def find() -> Mapping[str, Learn]:
    """Every way by its name; imports scikit-learn, for a second."""
    stack: Learn = plugins.load("ensemble.stack").stack
    return {"all": _all, "mean": mean, "greedy": greedy, "weighted": weighted, "stack": stack}


def _all(scores: Scores, _labels: Labels, _metric: str) -> Blend:
    return all_vote(len(scores))
