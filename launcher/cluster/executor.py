"""The executor that batches run on: tasks go to Dask a few at a time and come back as they end."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, Future, KilledWorker

from configs.errors import ClusterUnavailable, WorkerLost
from pipeline.executor import Done

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # tasks sent to a thread: one runs, the next is already there
_LOOK_SECONDS = 5.0
_NO_WORKERS_SECONDS = 60.0
_RESULT_SECONDS = 3.0
_CLOSE_SECONDS = 3.0


class DaskExecutor:
    """Runs tasks on a Dask cluster; an implementation of pipeline.executor.Executor."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def remote(self) -> bool:
        # Only a scheduler that is reached by loopback and has no other workers counts as local:
        # any other may get a worker without our files at any time.
        info = self._info()
        hosts = [urlsplit(str(address)).hostname for address in (info["address"], *info["workers"])]
        return not all(host and host.startswith(("127.", "::1")) for host in hosts)

    @property
    def workers(self) -> int:
        return sum(worker["nthreads"] for worker in self._info()["workers"].values())

    def run(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        deadline: float | None = None,
    ) -> Iterator[Done[T, R]]:
        """As the port says.

        Raises:
            ClusterUnavailable: the scheduler is gone, or has had no worker for a minute.
        """
        return iter(_Run(self, self._client, function, tasks, deadline))

    def close(self) -> None:
        """Forget what still runs; return soon, whatever state the cluster is in."""
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self._client.close(timeout=_CLOSE_SECONDS)

    def _info(self) -> dict[str, Any]:
        # A client that has lost its scheduler answers late, or from memory.
        if self._client.status != "running":
            raise ClusterUnavailable("lost the Dask scheduler")
        try:
            return dict(self._client.scheduler_info())
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterUnavailable(f"lost the Dask scheduler: {error}") from error


class _Run(Generic[T, R]):
    """One call of run(): few tasks are at the scheduler at any time, however many there are.

    Dask blames a worker's death on every task that was sent there, also on those that had not
    begun. So a task that Dask gives up on is tried again alone, when nothing else runs, and only
    a death then counts against it.
    """

    def __init__(
        self,
        executor: DaskExecutor,
        client: Client,
        function: Callable[[T], R],
        tasks: Sequence[T],
        deadline: float | None,
    ) -> None:
        self._executor = executor
        self._client = client
        self._function = function
        self._waiting = deque(tasks)
        self._suspects: deque[T] = deque()
        self._deadline = deadline
        self._name = f"{function.__name__}-{uuid4().hex}"
        self._numbers = count()
        self._running: dict[Any, tuple[Future[Any], T]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        self._alone = False
        self._limit = max(1, executor.workers * _AHEAD)
        self._looked = self._had_workers = time.monotonic()

    def __iter__(self) -> Iterator[Done[T, R]]:
        try:
            while self._fill():
                future = self._next()
                if future is None:
                    return
                done = self._done(future)
                if done is not None:
                    yield done
        finally:
            futures = [future for future, _ in self._running.values()]
            with contextlib.suppress(OSError, RuntimeError, ValueError, TimeoutError):
                self._client.cancel(futures, force=True)

    def _fill(self) -> bool:
        while self._waiting and len(self._running) < self._limit:
            self._submit(self._waiting.popleft())
        if self._suspects and not self._running:
            self._alone = True
            self._submit(self._suspects.popleft())
        return bool(self._running)

    def _submit(self, task: T) -> None:
        key = (self._name, next(self._numbers))
        future = self._client.submit(shielded, self._function, task, key=key, pure=False)
        self._running[future.key] = (future, task)
        future.add_done_callback(self._ended.put)

    def _next(self) -> Future[Any] | None:
        """The next future that ended; None at the deadline."""
        while True:
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                return None
            if now - self._looked >= _LOOK_SECONDS:
                self._look()
            patience = _LOOK_SECONDS
            if self._deadline is not None:
                patience = min(patience, self._deadline - now)
            with contextlib.suppress(Empty):
                return self._ended.get(timeout=patience)

    def _look(self) -> None:
        """Workers come and go; a scheduler without any would let us wait for ever."""
        workers = self._executor.workers
        self._looked = time.monotonic()
        if workers:
            self._had_workers = self._looked
            self._limit = workers * _AHEAD
        elif self._looked - self._had_workers > _NO_WORKERS_SECONDS:
            raise ClusterUnavailable(
                f"the Dask scheduler has had no workers for {_NO_WORKERS_SECONDS:.0f} s"
            )

    def _done(self, future: Future[Any]) -> Done[T, R] | None:
        """What became of a task; None if it goes on."""
        task = self._running[future.key][1]
        status = future.status
        if status == "cancelled":
            raise ClusterUnavailable("lost the Dask scheduler while tasks were running")
        if status == "error":
            del self._running[future.key]
            return self._failed(task, future)
        if status == "finished":
            try:
                value = future.result(timeout=_RESULT_SECONDS)
            except Exception as error:
                if future.status == "finished" and not isinstance(error, TimeoutError):
                    del self._running[future.key]  # the result cannot be read here
                    return Done(task, None, error)
            else:
                del self._running[future.key]
                return Done(task, value, None)
        # The worker that had the result died before we had it, and Dask does the task again.
        future.add_done_callback(self._ended.put)
        return None

    def _failed(self, task: T, future: Future[Any]) -> Done[T, R] | None:
        error = future.exception()
        if isinstance(error, KilledWorker):
            if not self._alone:
                self._suspects.append(task)
                return None
            lost = WorkerLost(
                f"{error.allowed_failures + 1} workers died while each ran this task and nothing "
                "else; most often it needs more memory than a worker may use"
            )
            return Done(task, None, lost)
        return Done(task, None, error.with_traceback(future.traceback()))


def shielded(function: Callable[[T], R], task: T) -> R:
    """What a worker runs: a library that calls sys.exit() ends its task, not the worker."""
    try:
        return function(task)
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the task ended with {error!r}") from error
