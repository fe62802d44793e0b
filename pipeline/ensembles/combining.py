"""A learned way to combine models, with the models' names: all that predict needs, as JSON.

Learning one is another matter (learning.py); here it is only applied, to any rows. A row's score
depends on no other row.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadData
from ensemble.blend import Blend
from models import scores
from models.kind import Labels, Scores
from models.scores import Metrics
from storage.records import ModelName

Called = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What models say of the same rows: by name, scores (rows,) and votes (rows,)."""

    scores: Mapping[ModelName, Scores]
    votes: Mapping[ModelName, Called]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A score in [0, 1] for each row, and the threshold at which a row is called 1."""

    score: Scores
    threshold: float
    ones: NDArray[np.int32] | None = None
    """How many rounds, or models, said 1, where that decides."""

    @property
    def called(self) -> Called:
        """The decision for each row."""
        return scores.decide(self.score, self.threshold)

    def measure(self, y: Labels) -> Metrics:
        return scores.measure(y, self.score, self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Rounds of votes: a row is 1 if `final_votes` rounds say 1, a round if `round_votes` of its
    members do. The score is the share of rounds that say 1.
    """

    kind: ClassVar[str] = "rounds"
    seed: int
    tried: tuple[tuple[int, int], ...]
    """Ranges [first, last] of the ensembles that were searched: this one is the best of them."""
    ensemble_no: int
    round_votes: int
    final_votes: int
    rounds: tuple[tuple[ModelName, ...], ...]

    @property
    def threshold(self) -> float:
        """For the score, and rounded like it. One round more is a higher share in float32, too."""
        return float(np.float32(self.final_votes / len(self.rounds)))

    @property
    def names(self) -> tuple[ModelName, ...]:
        """The models that take part, each once."""
        return tuple(sorted({name for members in self.rounds for name in members}))

    def apply(self, ballot: Ballot) -> Outcome:
        rows = len(ballot.votes[self.rounds[0][0]])
        ones = np.zeros(rows, dtype=np.int32)
        for members in self.rounds:
            votes = np.zeros(rows, dtype=np.int32)
            for name in members:
                votes += ballot.votes[name]
            ones += votes >= self.round_votes
        share = (ones / len(self.rounds)).astype(np.float32)
        return Outcome(score=share, threshold=self.threshold, ones=ones)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A weighted sum of the members' scores or votes."""

    kind: ClassVar[str] = "sum"
    blend: Blend
    members: tuple[ModelName, ...]

    @classmethod
    def named(cls, blend: Blend, names: Sequence[ModelName]) -> Self:
        """A blend of the models of these names, less those that weigh nothing; where none weighs
        anything, the first stays to say how many rows there are.
        """
        weighed = list(zip(names, blend.weights, strict=True))
        heavy = [(name, weight) for name, weight in weighed if weight] or weighed[:1]
        return cls(
            blend=replace(blend, weights=tuple(weight for _, weight in heavy)),
            members=tuple(name for name, _ in heavy),
        )

    @property
    def threshold(self) -> float:
        """For the score."""
        return self.blend.threshold

    @property
    def names(self) -> tuple[ModelName, ...]:
        """The models that take part, each once."""
        return self.members

    def apply(self, ballot: Ballot) -> Outcome:
        said = ballot.scores if self.blend.of == "scores" else ballot.votes
        total = self.blend.total([said[name] for name in self.members])
        return Outcome(
            score=self.blend.meaning(total),
            threshold=self.threshold,
            ones=total.astype(np.int32) if self.blend.link == "share" else None,
        )


Combination = Rounds | Sum


def to_json(combination: Combination, **made_by: Mapping[str, Any]) -> str:
    """As dc_batch_method.parameters holds it; names are lists [batch_id, model_no, sub_no].
    `made_by` is for people, who ask later how it was learned.
    """
    values = _values(combination)
    blend = _values(values.pop("blend")) if "blend" in values else {}
    return json.dumps({"kind": combination.kind} | values | blend | made_by)


def from_json(text: str) -> Combination:
    """The inverse of `to_json`, less `made_by`; floats come back to the last bit.

    Raises:
        BadData: somebody changed the text into what it cannot be.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        return _READERS[values["kind"]](values)
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"dc_batch_method.parameters is not what an ensemble batch wrote: {error!r}"
        ) from error


def _rounds(values: dict[str, Any]) -> Rounds:
    return Rounds(**_those_of(Rounds, values))


def _sum(values: dict[str, Any]) -> Sum:
    # Sums were written without their link once: then the method says it.
    implied = {"stack": "logit", "all": "share"}.get(values["method"], "mean")
    blend = Blend(**_those_of(Blend, {"link": implied} | values))
    return Sum(blend=blend, members=_tuples(values["members"]))


_READERS: Mapping[str, Callable[[dict[str, Any]], Combination]] = {
    Rounds.kind: _rounds,
    Sum.kind: _sum,
}


def _values(record: Combination | Blend) -> dict[str, Any]:
    """By field. `asdict` would copy each of up to 400,000 names, and take ten times as long."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _those_of(kind: type[Rounds | Blend], values: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: _tuples(values[field.name]) for field in fields(kind)}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
