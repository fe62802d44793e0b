"""The ways to combine models that a search is held against, by the names `method` has for them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ensemble.blend import Blend, Labels, Scores, all_vote, mean, weighted
from ensemble.greedy import greedy
from ensemble.stack import stack


def _all(scores: Scores, _labels: Labels, _metric: str) -> Blend:
    return all_vote(len(scores))


BASELINES: Mapping[str, Callable[[Scores, Labels, str], Blend]] = MappingProxyType(
    {"all": _all, "mean": mean, "greedy": greedy, "weighted": weighted, "stack": stack}
)
"""Each learns a Blend from scores (models, rows) and labels (rows,) of valid, for a metric."""
