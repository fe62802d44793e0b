"""Rows of dc_batch_result_t4: the best ensembles, or every one, each with its rank on valid."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.metric_names import COUNTS, VOTE_METRICS
from models.metrics import merit, metric
from pipeline.context import Context
from pipeline.ensembles.ranges import PARTS
from pipeline.ensembles.searching import Searched

CHUNK = 20_000
"""Ensembles a piece: of two rows each, which SQLite takes half a second for."""

Numbers = NDArray[np.int64]


def best_rows(searched: Searched, keep: int) -> Iterator[pa.Table]:
    """The `keep` best, in chunks, best first."""
    best = searched.best
    for start in range(0, min(keep, len(best.numbers)), CHUNK):
        chosen = slice(start, min(start + CHUNK, keep))
        numbers = best.numbers[chosen]
        ranks = np.arange(start + 1, start + 1 + len(numbers))
        yield _table(numbers, ranks, best.counts[chosen])


def every_row(searched: Searched, context: Context) -> Iterator[pa.Table]:
    """Every ensemble, in chunks, by number.

    The ranks need two walks over the counts but no memory for them: the first counts how many
    ensembles have each value of the metric, which says at what rank each value begins.
    """
    ladder = _ladder(searched, context)
    for first, counts in _walk(searched, context):
        ranks = ladder.ranks(merit(searched.order.search.metric, counts[:, 0]))
        for start in range(0, len(counts), CHUNK):
            chosen = slice(start, start + CHUNK)
            numbers = np.arange(first + start, first + start + len(counts[chosen]))
            yield _table(numbers, ranks[chosen], counts[chosen])


@dataclass
class _Ladder:
    """The rank of the next ensemble of each value; ensembles come in the order of their numbers."""

    values: NDArray[np.float64]  # rising
    following: Numbers

    def ranks(self, merits: NDArray[np.float64]) -> Numbers:
        place = np.searchsorted(self.values, merits)
        order = np.argsort(place, kind="stable")
        alike, first, count = np.unique(place[order], return_index=True, return_counts=True)
        ranks = np.empty(len(merits), dtype=np.int64)
        offset = np.repeat(self.following[alike] - first, count)
        ranks[order] = np.arange(len(merits)) + offset
        self.following[alike] += count
        return ranks


def _ladder(searched: Searched, context: Context) -> _Ladder:
    values = np.empty(0, dtype=np.float64)
    n = np.empty(0, dtype=np.int64)
    for _, counts in _walk(searched, context):
        new, new_n = np.unique(
            merit(searched.order.search.metric, counts[:, 0]), return_counts=True
        )
        both, place = np.unique(np.concatenate([values, new]), return_inverse=True)
        total = np.zeros(len(both), dtype=np.int64)
        np.add.at(total, place, np.concatenate([n, new_n]))
        values, n = both, total
    better = n[::-1].cumsum()[::-1] - n
    return _Ladder(values, better + 1)


def _walk(searched: Searched, context: Context) -> Iterator[tuple[int, Numbers]]:
    """First number and counts (ensembles, parts, 4) of each range, by number."""
    for finished in searched.ranges:
        yield finished.first_no, searched.read(finished, context).counts(searched.parts)


def _table(numbers: Numbers, ranks: Numbers, counts: Numbers) -> pa.Table:
    """Rows in the order of the table's key: of each ensemble test, then valid. An undefined metric
    is null.
    """
    order = sorted(range(len(PARTS)), key=lambda part: PARTS[part])
    flat = counts[:, order].reshape(-1, 4)
    columns = {
        "ensemble_no": pa.array(np.repeat(numbers, len(order))),
        "split": pa.array([PARTS[part] for part in order] * len(numbers), pa.string()),
        "rank_no": pa.array(np.repeat(ranks, len(order))),
    }
    for place, count in enumerate(COUNTS):
        columns[count] = pa.array(np.ascontiguousarray(flat[:, place]))
    for each in VOTE_METRICS:
        columns[each] = pa.array(metric(each, flat), from_pandas=True)
    return pa.table(columns)
