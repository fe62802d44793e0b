"""Trying ensembles by ranges over the executor: committed one by one, resumed, merged exactly."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from configs.errors import ArtifactDamaged, ArtifactMissing, BadData, BadParameter, DeepCreditError
from ensemble.search import Partial, Search, merge, missing, search_key
from ensemble.votes import Part
from pipeline import fingerprints, ownership, placing, run_files, workplace
from pipeline.context import Context
from pipeline.ensembles.ranges import (
    PARTS,
    RangeTask,
    Tried,
    packed,
    parts_of,
    read_range,
    try_range,
)
from pipeline.ensembles.stored_scores import Board
from pipeline.preparation import share
from pipeline.progress import Tally
from storage import arrays, ensemble_ranges, identity
from storage.artifacts.port import Stored
from storage.ensemble_ranges import FinishedRange

_SHORTEST, _LONGEST = 10_000, 1_000_000
_LONGEST_TIMED = 100_000  # what is begun at the deadline is lost
_RANGES_PER_WORKER = 8
_MOST_RANGES = 2_000
_ENDING = "safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for: ensembles 1 to `ensembles` of a search."""

    search: Search
    ensembles: int
    all_counts: bool
    """Whether the counts of every ensemble are wanted, not those of the best alone."""
    deadline: float | None
    """On time.monotonic; what is not tried by then is left out."""

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What came of it. Files of `ranges` are in the store until `forget`."""

    order: Order
    parts: tuple[Part, ...]
    best: Partial
    ranges: tuple[FinishedRange, ...]

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """First and last ensemble of each stretch that was tried without a gap."""
        return tuple((int(first), int(stop) - 1) for first, stop in self.best.ranges)

    @property
    def ensembles(self) -> int:
        """How many were tried."""
        return sum(last - first + 1 for first, last in self.spans)

    def read(self, finished: FinishedRange, context: Context) -> Tried:
        return _read(finished, self.order, self.parts, context)


def search(board: Board, order: Order, context: Context) -> Searched:
    """Try what no earlier run of the batch has tried; any number of workers gives the same.

    Raises:
        BadParameter: the search does not fit the models, or timeLimit left nothing.
    """
    named = packed({name: (getattr(board, name).y, getattr(board, name).votes) for name in PARTS})
    parts = parts_of(named)
    order.search.check(parts[0].models)
    votes = share(_uri("votes", context), lambda file: arrays.save(file, named), context)
    fingerprint = _fingerprint(parts, order)
    kept = _resume(order, parts, fingerprint, context)
    done = [finished for finished, _ in kept]
    best = [tried.best for _, tried in kept]
    before = sum(finished.last_no - finished.first_no + 1 for finished in done)
    tally = Tally(total=order.ensembles, before=before, unit="ensemble", report=context.report)
    while not order.late and (tasks := _tasks(order, votes, done, context)):
        for ended in placing.run(
            context.executor, try_range, tasks, tag=context.tag, deadline=order.deadline
        ):
            finished = _finished(ended.task, ended.result(), fingerprint, context)
            tried = _read(finished, order, parts, context)
            best = [merge([*best, tried.best])]
            _commit(finished, context)
            done.append(finished)
            tally.advance(units=finished.last_no - finished.first_no + 1)
    if not best:
        raise BadParameter("batch_param: timeLimit: not one range of ensembles was tried by then")
    return Searched(
        order=order,
        parts=parts,
        best=merge(best),
        ranges=tuple(sorted(done, key=lambda finished: finished.first_no)),
    )


def forget(context: Context) -> None:
    """Delete the files of a search that is reported, also those that earlier runs left; what
    cannot be deleted now, or lies in a store without our mark, is left.
    """
    with suppress(DeepCreditError):
        ownership.require(context.store, context.read(identity.database_id))
        for uri in context.store.walk(_folder(context)):
            fence = run_files.fence_of(uri)
            if uri.endswith(_ENDING) and fence is not None and fence <= context.claim.fence:
                context.store.delete(uri)


def _resume(
    order: Order, parts: tuple[Part, ...], fingerprint: str, context: Context
) -> list[tuple[FinishedRange, Tried]]:
    """The ranges that earlier runs finished, less what is of another search or cannot be read."""
    batch_id = context.claim.batch_id
    earlier = context.read(lambda connection: ensemble_ranges.read(connection, batch_id))
    kept = []
    for finished in earlier:
        if finished.fingerprint == fingerprint and finished.last_no <= order.ensembles:
            with suppress(ArtifactMissing, ArtifactDamaged, BadData):
                kept.append((finished, _read(finished, order, parts, context)))
    if len(kept) < len(earlier):
        known = [finished for finished, _ in kept]
        context.commit(lambda connection: ensemble_ranges.keep(connection, batch_id, known))
    return kept


def _tasks(
    order: Order, votes: Stored, done: Iterable[FinishedRange], context: Context
) -> list[RangeTask]:
    """The next of the ranges that are missing."""
    tried = [(finished.first_no, finished.last_no + 1) for finished in done]
    size = range_size(order.ensembles, context.executor.workers, timed=order.deadline is not None)
    settings = workplace.pack(context.settings)
    return [
        RangeTask(
            settings=settings,
            votes=votes,
            search=order.search,
            first=first,
            last=last,
            all_counts=order.all_counts,
            uri=_uri(f"{first}-{last - 1}", context),
        )
        for first, last in islice(missing(order.ensembles, tried, size), _MOST_RANGES)
    ]


def range_size(ensembles: int, workers: int, *, timed: bool = False) -> int:
    """Several ranges a worker, so that none waits long for the last; few enough to commit each.

    A `timed` search has short ones however many it asks for: its deadline says how many there are.
    """
    even = -(-ensembles // (_RANGES_PER_WORKER * max(workers, 1)))
    if timed:
        return max(_SHORTEST, min(even, _LONGEST_TIMED))
    return max(_SHORTEST, min(even, _LONGEST), -(-ensembles // _MOST_RANGES))


def _fingerprint(parts: tuple[Part, ...], order: Order) -> str:
    return fingerprints.of_text(f"{search_key(parts, order.search)} {order.all_counts}")


def _finished(task: RangeTask, file: Stored, fingerprint: str, context: Context) -> FinishedRange:
    return FinishedRange(
        first_no=task.first,
        last_no=task.last - 1,
        fence=context.claim.fence,
        fingerprint=fingerprint,
        uri=file.uri,
        sha256=file.sha256,
        bytes=file.bytes,
    )


def _commit(finished: FinishedRange, context: Context) -> None:
    batch_id = context.claim.batch_id
    context.commit(lambda connection: ensemble_ranges.put(connection, batch_id, finished))


def _read(
    finished: FinishedRange, order: Order, parts: tuple[Part, ...], context: Context
) -> Tried:
    file = context.cache.fetch(context.store, finished.uri, finished.sha256)
    return read_range(file, parts, order.search, all_counts=order.all_counts)


def _folder(context: Context) -> str:
    return f"{run_files.ENSEMBLES}{context.claim.batch_id}"


def _uri(name: str, context: Context) -> str:
    return run_files.of_run(f"{_folder(context)}/{name}", context.claim.fence, _ENDING)
