"""Every method measured: valid, where it was learned, beside test, which nothing was chosen by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ensemble.bootstrap import Interval, bootstrap
from models.metrics import confusion
from models.scores import Metrics
from pipeline.ensembles.combining import Combination, Outcome, to_json
from pipeline.ensembles.learning import METHODS, ballot_of, winner
from pipeline.ensembles.searching import Searched
from pipeline.ensembles.stored_scores import Board
from storage.ensembles import Method

BASE = "single"
"""Over this the others gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A method, and what came of it on both parts."""

    method: str
    chosen: bool
    metric: str
    combination: Combination
    valid: Outcome
    test: Outcome
    on_valid: Metrics
    on_test: Metrics
    interval: Interval
    """Of the metric on test."""
    gain: Interval
    """Of the metric on test minus that of BASE on the same rows."""

    def value(self, split: str) -> float | None:
        """The batch's metric."""
        metrics = self.on_valid if split == "valid" else self.on_test
        value: float | None = getattr(metrics, self.metric)
        return value


def judge(
    board: Board,
    searched: Searched,
    baselines: Mapping[str, Combination],
    *,
    answer: str,
    bootstrap_seed: int,
) -> tuple[Judged, ...]:
    """Measure the search's winner and the baselines; `answer` is the batch's own method."""
    learned = {"vote": winner(searched, board.names), **baselines}
    valid, test = (
        {name: learned[name].apply(ballot_of(board, part)) for name in METHODS}
        for part in (board.valid, board.test)
    )
    _check_winner(board, searched, valid["vote"])
    metric = searched.order.search.metric
    decisions = {name: outcome.called for name, outcome in test.items()}
    drawn = bootstrap(decisions, board.test.y == 1, metric, bootstrap_seed)
    return tuple(
        Judged(
            method=name,
            chosen=name == answer,
            metric=metric,
            combination=learned[name],
            valid=valid[name],
            test=test[name],
            on_valid=valid[name].measure(board.valid.y),
            on_test=test[name].measure(board.test.y),
            interval=drawn.interval(name),
            gain=drawn.difference(name, BASE),
        )
        for name in METHODS
    )


def rows(judged: Sequence[Judged], **made_by: Mapping[str, Any]) -> tuple[Method, ...]:
    """Two rows of dc_batch_method each; what was learned, and by what, stands with valid, where it
    was.
    """
    base = next(each for each in judged if each.method == BASE).value("test")
    stored = []
    for each in judged:
        common: dict[str, Any] = {
            "method": each.method,
            "chosen": each.chosen,
            "n_models": len(each.combination.names),
            "threshold": each.combination.threshold,
            "metric": each.metric,
        }
        value = each.value("test")
        low, high = each.interval or (None, None)
        gain_low, gain_high = each.gain or (None, None)
        stored.append(
            Method(
                **common,
                split="valid",
                n_rows=len(each.valid.score),
                metrics=asdict(each.on_valid),
                parameters=to_json(each.combination, **made_by),
            )
        )
        stored.append(
            Method(
                **common,
                split="test",
                n_rows=len(each.test.score),
                metrics=asdict(each.on_test),
                low=low,
                high=high,
                gain=None if value is None or base is None else value - base,
                gain_low=gain_low,
                gain_high=gain_high,
            )
        )
    return tuple(stored)


def _check_winner(board: Board, searched: Searched, outcome: Outcome) -> None:
    """The winner is counted again by other code than the kernel before it is published."""
    counted = confusion(outcome.called, board.valid.y == 1)
    if not np.array_equal(counted, searched.best.counts[0, 0]):
        raise RuntimeError(
            f"ensemble {searched.best.numbers[0]} was counted as {searched.best.counts[0, 0]} and "
            f"is {counted}: the kernel is wrong on this processor; nothing was published"
        )
