"""Pictures of an ensemble batch: drawn, put into the model store, named for the database."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from configs.metric_names import VOTE_METRICS
from configs.wording import counted
from ensemble.search import BINS, edges
from models.plots.curves import Curve, precision_recall, roc
from models.plots.distribution import Bars, Mark, distribution
from models.plots.membership import membership
from pipeline import run_files
from pipeline.context import Context
from pipeline.ensembles.learning import METHODS
from pipeline.ensembles.methods import Judged
from pipeline.ensembles.searching import Searched
from pipeline.ensembles.stored_scores import Board
from pipeline.ensembles.voters import BEST, shares
from pipeline.preparation import publish
from storage.ensembles import Picture

_FINEST = 50
"""Bins from the least metric of all ensembles to the greatest, in the picture."""

_NAMED = ("vote", "mean", "single")
"""Told apart, as the answer is, where methods are curves: eight would hide each other."""


def draw(
    board: Board, searched: Searched, judged: Sequence[Judged], context: Context
) -> tuple[Picture, ...]:
    """Every picture of the batch, stored under its content's hash, so that none is overwritten."""
    batch_id = context.claim.batch_id
    rows = f"batch {batch_id}, test: {len(board.test.y):,} rows that chose nothing"
    curves = [
        Curve(
            label=METHODS[each.method],
            scores=each.test.score,
            called=each.test.called,
            winner=each.chosen,
            named=each.method in _NAMED,
        )
        for each in judged
    ]
    drawn = {
        "roc": roc(board.test.y, curves, subtitle=rows),
        "precision_recall": precision_recall(board.test.y, curves, subtitle=rows),
        "distribution": _distribution(searched, judged, batch_id),
        "membership": _membership(board, searched, batch_id),
    }
    return tuple(_put(name, png, context) for name, png in drawn.items())


def _distribution(searched: Searched, judged: Sequence[Judged], batch_id: int) -> bytes:
    search = searched.order.search
    rule = search.rule
    marks = [
        Mark(
            label=METHODS[each.method],
            valid=each.value("valid"),
            test=each.value("test"),
            low=each.interval[0] if each.interval else None,
            high=each.interval[1] if each.interval else None,
            winner=each.chosen,
        )
        for each in judged
    ]
    subtitle = (
        f"batch {batch_id}: {counted(searched.ensembles, 'ensemble')} of "
        f"{counted(rule.rounds, 'round')} of {rule.members} of "
        f"{counted(searched.parts[0].models, 'model')}"
    )
    place = VOTE_METRICS.index(search.metric)
    counts = searched.best.histograms[:, place, :BINS]
    valid, test = _bars(counts, edges(search.metric))
    return distribution(valid, test, marks, metric=search.metric, subtitle=subtitle)


def _bars(counts: NDArray[np.int64], ends: NDArray[np.float64]) -> list[Bars]:
    """The histogram of each part, from its first ensemble to its last, in few enough bins: with
    few rows a metric has few values, and fine bins would look like a comb.
    """
    there = np.flatnonzero(counts.any(axis=0))
    width = -(-(there[-1] + 1 - there[0]) // _FINEST) if len(there) else 1
    ends = np.append(ends[:-1:width], ends[-1])
    starts = np.arange(0, counts.shape[1], width)
    bars = []
    for n in np.add.reduceat(counts, starts, axis=1):
        filled = np.flatnonzero(n)
        seen = slice(filled[0], filled[-1] + 1) if len(filled) else slice(0)
        bars.append(Bars(start=ends[:-1][seen], end=ends[1:][seen], n=n[seen]))
    return bars


def _membership(board: Board, searched: Searched, batch_id: int) -> bytes:
    search, models = searched.order.search, board.models
    numbers = [int(number) for number in searched.best.numbers[:BEST]]
    chance = search.rule.members / len(models)
    rounds = len(numbers) * search.rule.rounds
    width = 3 * math.sqrt(chance * (1 - chance) / rounds)
    return membership(
        shares(search, numbers, len(models)),
        [model.model_id for model in models],
        ["/".join(map(str, model.name)) for model in models],
        chance=chance,
        band=(chance - width, chance + width),
        subtitle=f"batch {batch_id}: rounds of the best {len(numbers):,} of "
        f"{counted(searched.ensembles, 'ensemble')}; band: three standard deviations of chance",
    )


def _put(name: str, png: bytes, context: Context) -> Picture:
    uri = run_files.of_picture(context.claim.batch_id, name)
    stored = publish(uri, lambda file: file.write_bytes(png), context)
    return Picture(name=name, uri=stored.uri, sha256=stored.sha256, bytes=stored.bytes)
