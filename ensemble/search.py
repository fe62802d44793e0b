"""Searching ensembles by ranges of their numbers, and putting the ranges together again.

What is kept of a range (the best, and how every metric is spread) is small whatever its length,
and merging is exact: any cut into ranges, merged in any order, gives the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from configs.errors import BadData, BadParameter
from configs.metric_names import VOTE_METRICS
from ensemble.rule import Rule
from ensemble.votes import Count, Part, count
from models.metrics import merit, metric

BINS = 1000
"""Bins of a histogram over all values a metric can have; one more counts the undefined."""
LOWEST = {"mcc": -1.0}
"""The least value of a metric, where it is not 0. The greatest is 1."""
STEP = 65_536
"""Ensembles counted before they are summed up: bounds memory. Many have equal counts by then."""
_AT_ONCE = 16  # steps: each merge sorts all that is kept, which may be all

Range = tuple[int, int]
"""First ensemble number, and the one after the last."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched: ensembles by `rule` and `seed`; the `keep` best by `metric` on the first
    part are kept. Of equal ones the lower ensemble number is better; undefined is worst.
    """

    rule: Rule
    seed: int
    metric: str
    keep: int

    def check(self, models: int) -> None:
        """Raise BadParameter, naming the batch's parameter, unless such a search can be made."""
        self.rule.check(models)
        if self.metric not in VOTE_METRICS:
            raise BadParameter(f"metric is {self.metric!r}; allowed are {', '.join(VOTE_METRICS)}")
        if self.keep < 1:
            raise BadParameter(f"keep is {self.keep}; it must be at least 1")


@dataclass(frozen=True)
class Partial:
    """What is known after some ranges.

    key: of the search and its votes. ranges: (n, 2), ascending, apart. numbers: (k,) ensemble
    numbers, best first. counts: (k, parts, 4) their tn, fp, fn, tp. histograms: (parts, metrics,
    BINS + 1), how many ensembles have a metric (of VOTE_METRICS, in order) between two `edges`, the
    lower one inclusive and the last one too; and then, how many have it undefined.
    """

    search: Search
    key: str
    ranges: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    histograms: npt.NDArray[np.int64]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Plain arrays, to cross a process's border or to be stored: no pickle needed."""
        return {
            "key": np.frombuffer(bytes.fromhex(self.key), dtype=np.uint8),
            "ranges": self.ranges,
            "numbers": self.numbers,
            "counts": self.counts,
            "histograms": self.histograms,
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], parts: Sequence[Part], search: Search
    ) -> Self:
        """The inverse. Raises BadData if they are of another search or other votes."""
        key = search_key(parts, search)
        if arrays["key"].astype(np.uint8).tobytes().hex() != key:
            raise BadData("the stored part of a search belongs to another search or other votes")
        rest = {name: np.asarray(arrays[name], dtype=np.int64) for name in _ARRAYS}
        return cls(search, key, **rest)


_ARRAYS = ("ranges", "numbers", "counts", "histograms")


def search_key(parts: Sequence[Part], search: Search) -> str:
    """SHA-256 of all that determines a search's result, less the range."""
    digests = [part.sha256 for part in parts]
    return sha256(f"{search!r} {digests!r}".encode()).hexdigest()


def search_range(
    parts: Sequence[Part],
    search: Search,
    first: int,
    last: int,
    count: Count = count,
) -> Partial:
    """Try ensembles first, ..., last - 1; on one core, without the interpreter lock. count: of
    `card.proven_count`, for one.

    Raises:
        BadParameter, BadData: as `votes.count`, and for an unknown metric.
    """
    search.check(parts[0].models)
    found = [summarise(parts, search, first, np.zeros((len(parts), 0, 4), dtype=np.int64))]
    for start, stop in ranges(first, last, STEP):
        counts = count(parts, search.rule, search.seed, start, stop)
        found.append(summarise(parts, search, start, counts))
        if len(found) > _AT_ONCE:
            found = [merge(found)]
    return merge(found)


def summarise(
    parts: Sequence[Part], search: Search, first: int, counts: npt.NDArray[np.int64]
) -> Partial:
    """What is kept of ensembles first, first + 1, ..., given counts (parts, ensembles, 4)."""
    size = counts.shape[1]
    histograms = np.stack([_histograms(part) for part in counts])
    numbers = np.arange(first, first + size, dtype=np.int64)
    order = _order(merit(search.metric, counts[0]), numbers, search.keep)
    spans = [(first, first + size)] if size else []
    return Partial(
        search,
        search_key(parts, search),
        ranges=np.array(spans, dtype=np.int64).reshape(-1, 2),
        numbers=numbers[order],
        counts=np.ascontiguousarray(counts[:, order].transpose(1, 0, 2)),
        histograms=histograms,
    )


def merge(partials: Iterable[Partial]) -> Partial:
    """Put parts of one search together, in any order or grouping.

    Raises:
        ValueError: they are not of one search, or share ensembles, which would count twice.
    """
    parts = list(partials)
    head = parts[0]
    if any(part.key != head.key for part in parts):
        raise ValueError("these are parts of different searches")
    numbers = np.concatenate([part.numbers for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = _order(merit(head.search.metric, counts[:, 0]), numbers, head.search.keep)
    return Partial(
        head.search,
        head.key,
        ranges=_joined(np.concatenate([part.ranges for part in parts])),
        numbers=numbers[order],
        counts=counts[order],
        histograms=np.sum([part.histograms for part in parts], axis=0),
    )


def ranges(first: int, last: int, size: int) -> Iterator[Range]:
    """Cut first, ..., last - 1 into ranges of `size`, the last one shorter."""
    for start in range(first, last, size):
        yield start, min(start + size, last)


def missing(ensembles: int, done: Iterable[Range], size: int) -> Iterator[Range]:
    """Ranges of at most `size` that, with those done, make 1, ..., ensembles."""
    following = 1
    for start, stop in [*sorted(done), (ensembles + 1, ensembles + 1)]:
        yield from ranges(following, min(start, ensembles + 1), size)
        following = max(following, stop)


def edges(name: str) -> npt.NDArray[np.float64]:
    """The BINS + 1 borders of a metric's histogram, lowest first."""
    return np.linspace(LOWEST.get(name, 0.0), 1.0, BINS + 1)


def _histograms(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(metrics, BINS + 1). Metrics are worked out once for all ensembles of equal counts."""
    fp, tp = counts[:, 1], counts[:, 3]
    base = int(tp.max(initial=0)) + 1
    outcomes, times = np.unique(fp * base + tp, return_counts=True)
    fp, tp = np.divmod(outcomes, base)
    negatives, positives = counts[:1, :2].sum(), counts[:1, 2:].sum()
    distinct = np.stack([negatives - fp, fp, positives - tp, tp], axis=-1)
    return np.stack([_histogram(name, distinct, times) for name in VOTE_METRICS])


def _histogram(
    name: str, counts: npt.NDArray[np.int64], times: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    values = metric(name, counts)
    defined = ~np.isnan(values)
    span = (LOWEST.get(name, 0.0), 1.0)
    weights = times[defined]
    spread = np.histogram(values[defined], bins=BINS, range=span, weights=weights)[0]
    return np.append(spread, times.sum() - weights.sum())


def _order(
    merits: npt.NDArray[np.float64], numbers: npt.NDArray[np.int64], keep: int
) -> npt.NDArray[np.intp]:
    """Places of the best, best first."""
    if len(merits) > 2 * keep:  # most are out of the question; sorting them all would take longest
        least = np.partition(merits, len(merits) - keep)[len(merits) - keep]
        places = np.flatnonzero(merits >= least)
    else:
        places = np.arange(len(merits))
    return places[np.lexsort((numbers[places], -merits[places]))[:keep]]


def _joined(spans: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    if (spans[1:, 0] < spans[:-1, 1]).any():
        raise ValueError("parts of a search overlap: some ensembles would count twice")
    apart = np.flatnonzero(spans[1:, 0] > spans[:-1, 1]) + 1
    starts, stops = np.r_[0, apart], np.r_[apart - 1, len(spans) - 1]
    return np.stack([spans[starts, 0], spans[stops, 1]], axis=1) if len(spans) else spans
