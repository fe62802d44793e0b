"""One call of the executor: tasks go to Dask a few at a time and come back as they end."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar
from uuid import uuid4

import structlog
from distributed import Future, KilledWorker
from distributed.client import ClosedClientError

from configs.errors import ClusterUnavailable, NotEnoughMemory, WorkerLost
from launcher.cluster.backlog import Backlog
from launcher.cluster.capacity import GPU
from launcher.cluster.client import GONE
from launcher.cluster.link import LOST, Link
from launcher.cluster.placement import Place, place
from launcher.cluster.shield import shielded
from launcher.cluster.workforce import Lost, Workforce
from pipeline.executor import Done, Need

T = TypeVar("T")
R = TypeVar("R")

_LOOK_SECONDS = 5.0
_RESULT_SECONDS = 3.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Sent(Generic[T]):
    """A task at the scheduler."""

    future: Future[Any]
    task: T
    place: Place


class Run(Generic[T, R]):
    """Few tasks are at the scheduler at any time, however many there are.

    Dask blames a worker's death on every task that was sent there, also on those that had not
    begun. So a task that Dask gives up on is tried again alone, when nothing else runs, and only
    a death then counts against it.
    """

    def __init__(
        self,
        link: Link,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        need: Callable[[T], Need],
        deadline: float | None,
        renew_after: int,
        stuck_seconds: float,
    ) -> None:
        self._link = link
        self._function = function
        self._need = need
        self._deadline = deadline
        self._renew_after = renew_after
        self._stuck_seconds = stuck_seconds
        self._backlog = Backlog(tasks, wants_card=lambda task: need(task).gpu > 0)
        self._refused: deque[Done[T, R]] = deque()
        self._name = f"{function.__name__}-{uuid4().hex}"
        self._numbers = count()
        self._running: dict[Any, _Sent[T]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        self._workforce = Workforce(link)
        self._missing: set[str] = set()

    def __iter__(self) -> Iterator[Done[T, R]]:
        try:
            self._begin()
            while True:
                try:
                    more = self._fill()
                    yield from self._refusals()
                    if not more:
                        return
                    future = self._next()
                    if future is None:
                        if self._refused:
                            continue
                        return
                    done = self._done(future)
                    # Whoever keeps a future keeps its result on a worker, which then cannot leave.
                    future = None
                except Lost as error:
                    self._begin_again(error)
                    continue
                if done is not None:
                    self._workforce.pace.ended()
                    yield done
                    done = None
        finally:
            futures = [sent.future for sent in self._running.values()]
            with contextlib.suppress(*GONE):
                self._link.client.cancel(futures, force=True)

    def _begin(self) -> None:
        """The scheduler may have been lost before, while the batch read its data."""
        try:
            self._look()
        except Lost as error:
            self._begin_again(error)

    def _begin_again(self, error: Lost) -> None:
        if not self._link.steady:
            raise ClusterUnavailable(str(error)) from error
        log.warning(
            "scheduler lost; connecting again, and what ran is done again",
            running=len(self._running),
            error=str(error),
        )
        self._workforce.come_back()
        for sent in self._running.values():
            self._backlog.add(sent.task)
        self._running.clear()
        self._ended = SimpleQueue()
        log.info("scheduler is back; the batch goes on", workers=len(self._workforce.there))

    def _refusals(self) -> Iterator[Done[T, R]]:
        while self._refused:
            yield self._refused.popleft()

    def _fill(self) -> bool:
        """Whether anything runs, after as much as may run was sent."""
        there = self._workforce.there
        cards = sum(each.threads for each in there if each.resources.get(GPU))
        others = sum(each.threads for each in there) - cards
        running = [sent.task for sent in self._running.values()]
        self._backlog.give(self._submit, running, cards=cards, others=others)
        return bool(self._running)

    def _submit(self, task: T) -> bool:
        try:
            where = place(self._need(task), self._workforce.known)
        except NotEnoughMemory as error:
            self._refused.append(Done(task, None, error))
            return False
        self._tell(task, where)
        key = (self._name, next(self._numbers))
        try:
            future = self._link.client.submit(
                shielded,
                self._function,
                task,
                self._renew_after,
                self._stuck_seconds,
                key=key,
                resources=where.resources or None,
                workers=where.hosts or where.workers or None,
                allow_other_workers=bool(where.workers) and not where.hosts,
            )
        except ClosedClientError as error:  # it has tried for long to reach the scheduler
            self._backlog.add(task)
            raise Lost(f"{LOST} while tasks were running") from error
        self._running[future.key] = _Sent(future, task, where)
        future.add_done_callback(self._ended.put)
        return True

    def _tell(self, task: T, where: Place) -> None:
        """What a task has to do without."""
        for name in set(where.missing) - self._missing:
            self._missing.add(name)
            # Most installations have no cards, and need not hear it with every batch.
            tell = log.debug if name == GPU else log.info
            tell("no worker declares this resource; tasks run without it", resource=name)
        if where.off_card:
            need = self._need(task)
            log.warning(
                "no worker with a card can take a task; it goes to one without",
                task=str(getattr(task, "label", "")),
                needs_mb=need.memory_mb,
                unfit_hosts=sorted(need.avoid),
            )

    def _next(self) -> Future[Any] | None:
        """The next future that ended; None at the deadline, or if nothing runs any more."""
        while self._running:
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                return None
            if now - self._workforce.looked >= _LOOK_SECONDS:
                self._look()
            patience = _LOOK_SECONDS
            if self._deadline is not None:
                patience = min(patience, self._deadline - now)
            with contextlib.suppress(Empty):
                return self._ended.get(timeout=patience)
        return None

    def _look(self) -> None:
        """Tasks that ask for what no worker has any more are placed anew."""
        self._workforce.look()
        asked = {key: sent.place for key, sent in self._running.items()}
        for key in self._workforce.stranded(asked):
            sent = self._running.pop(key)
            log.warning("nobody has what a task asks for; placing it anew", asked=sent.place)
            self._link.client.cancel([sent.future], force=True)
            self._submit(sent.task)

    def _done(self, future: Future[Any]) -> Done[T, R] | None:
        """What became of a task; None if it goes on."""
        sent = self._running.get(future.key)
        if sent is None:
            return None
        status = future.status
        if status == "cancelled":
            raise Lost(f"{LOST} while tasks were running")
        if status == "error":
            del self._running[future.key]
            return self._failed(sent.task, future)
        if status == "finished":
            try:
                value = future.result(timeout=_RESULT_SECONDS)
            except OSError:  # late, or cut off: no fault of the task
                self._look()
            except Exception as error:
                if future.status == "finished":
                    del self._running[future.key]  # the result cannot be read here
                    return Done(sent.task, None, error)
            else:
                del self._running[future.key]
                return Done(sent.task, value, None)
        # The worker that had the result died before we had it, and Dask does the task again.
        future.add_done_callback(self._ended.put)
        return None

    def _failed(self, task: T, future: Future[Any]) -> Done[T, R] | None:
        error = future.exception()
        if isinstance(error, KilledWorker):
            if not self._backlog.alone:
                log.warning(
                    "two workers died with a task; it is tried alone when nothing else runs"
                )
                self._backlog.suspect(task)
                return None
            lost = WorkerLost(
                f"{error.allowed_failures + 1} workers died while each ran this task and nothing "
                "else; most often it needs more memory than a worker may use; the log "
                "says if it was stuck"
            )
            return Done(task, None, lost)
        return Done(task, None, error.with_traceback(future.traceback()))
