"""What a worker does to try one range of ensembles: unpack the votes once, count, store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from configs.errors import CardUnusable
from ensemble import votes
from ensemble.card import proven_count
from ensemble.rule import Rule
from ensemble.search import Partial, Search, search_range
from ensemble.votes import Count, Part
from models import devices
from models.kind import Labels
from pipeline.executor import Need
from pipeline.placing import Task
from pipeline.workplace import workplace
from storage import arrays
from storage.artifacts.port import Stored

log = structlog.get_logger(__name__)

Votes = NDArray[np.bool_]  # (models, rows)

PartName = Literal["valid", "test"]

PARTS: tuple[PartName, ...] = ("valid", "test")
"""Parts are counted in this order; the first one chooses."""

_A_CARD = Need(gpu=1.0)  # the kernel fills one, and is many times as fast there


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTask(Task):
    """Ensembles `first` up to, but not including, `last`."""

    votes: Stored
    """The file that `packed` wrote."""
    search: Search
    first: int
    last: int
    all_counts: bool
    """Whether the counts of every ensemble are stored, not those of the best alone."""
    uri: str
    need: Need = _A_CARD

    @property
    def label(self) -> str:
        return f"ensembles {self.first} to {self.last - 1}"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a range. `hits`: (ensembles, parts, 2), fp and tp of every ensemble of it, as
    they are stored.
    """

    best: Partial
    hits: NDArray[np.uint32] | None

    def counts(self, parts: Sequence[Part]) -> NDArray[np.int64]:
        """tn, fp, fn, tp of every ensemble on each part: (ensembles, parts, 4)."""
        assert self.hits is not None
        counts = votes.counts_of(parts, self.hits[:, :, ::-1].transpose(1, 0, 2))
        return counts.transpose(1, 0, 2)


def packed(parts: Mapping[str, tuple[Labels, Votes]]) -> dict[str, NDArray[Any]]:
    """Labels and votes as arrays of a file: eight votes a byte."""
    named: dict[str, NDArray[Any]] = {}
    for name, (y, voted) in parts.items():
        named |= {f"y_{name}": y, f"votes_{name}": np.packbits(voted, axis=1)}
    return named


def parts_of(named: Mapping[str, NDArray[Any]]) -> tuple[Part, ...]:
    """The inverse of `packed`, as the kernel takes it: one part each of PARTS."""
    return tuple(_part(named[f"y_{name}"], named[f"votes_{name}"]) for name in PARTS)


def try_range(task: RangeTask) -> Stored:
    """Count the ensembles of a range; store the best of them, and all counts if wanted."""
    place = workplace(task.settings)
    parts = _parts(place.fetch(task.votes))
    tried = count_range(parts, task.search, task.first, task.last, all_counts=task.all_counts)
    named = tried.best.to_arrays()
    if tried.hits is not None:
        named["hits"] = tried.hits
    with place.folder() as folder:
        file = folder / "range"
        arrays.save(file, named)
        return place.put(task.uri, file)


def read_range(file: Path, parts: Sequence[Part], search: Search, *, all_counts: bool) -> Tried:
    """What `try_range` stored.

    Raises:
        ArtifactDamaged: not such a file.
        BadData: of another search or other votes.
    """
    names = ("key", "ranges", "numbers", "counts", "histograms", *(("hits",) if all_counts else ()))
    named = dict(zip(names, arrays.load(file, *names), strict=True))
    return Tried(Partial.from_arrays(named, parts, search), named.get("hits"))


def count_range(
    parts: Sequence[Part], search: Search, first: int, last: int, *, all_counts: bool
) -> Tried:
    """As `ensemble.search.search_range`, with every ensemble's counts if wanted.

    A card may fail later than when it was tried, as by memory that others have taken since.
    """
    count = _fastest()
    try:
        return _count_range(count, parts, search, first, last, all_counts=all_counts)
    except Exception as error:
        if count is votes.count:
            raise
        _tell_unused(f"{type(error).__name__}: {error}")
        return _count_range(votes.count, parts, search, first, last, all_counts=all_counts)


def _count_range(
    count: Count, parts: Sequence[Part], search: Search, first: int, last: int, *, all_counts: bool
) -> Tried:
    if not all_counts:
        return Tried(search_range(parts, search, first, last, count), None)
    hits = []

    def noting(
        parts: Sequence[Part], rule: Rule, seed: int, first: int, last: int
    ) -> NDArray[np.int64]:
        counts = count(parts, rule, seed, first, last)
        hits.append(counts[:, :, [1, 3]].transpose(1, 0, 2).astype(np.uint32))
        return counts

    return Tried(search_range(parts, search, first, last, noting), np.concatenate(hits))


def _tell_unused(said: str) -> None:
    log.warning("card not used", said=said, next="votes are counted by the processor")


@lru_cache(maxsize=1)
def _fastest() -> Count:
    """The card's kernel if this process sees a card, else the processor's: the result is the same.
    Found out once a process.
    """
    if not devices.count():
        return votes.count
    try:
        return proven_count()
    except CardUnusable as error:
        _tell_unused(str(error))
        return votes.count


@lru_cache(maxsize=1)
def _parts(file: Path) -> tuple[Part, ...]:
    """Kept between the tasks of a search; the file's name is the hash of its content."""
    names = [f"{kind}_{part}" for part in PARTS for kind in ("y", "votes")]
    return parts_of(dict(zip(names, arrays.load(file, *names), strict=True)))


def _part(y: Labels, packed_votes: NDArray[np.uint8]) -> Part:
    def unpacked() -> Iterator[NDArray[np.bool_]]:
        for row in packed_votes:
            yield np.unpackbits(row, count=len(y)).view(np.bool_)

    return votes.pack(unpacked(), y == 1, len(packed_votes))
