"""The port through which modes reach the cluster, and an inline implementation for tests."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from configs.errors import HostUnfit

A = TypeVar("A")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[T, R]):
    """A task that ended: with a value, or with an error."""

    task: T
    value: R | None
    error: Exception | None

    def result(self) -> R:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return cast(R, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a task asks of a worker, beside one thread."""

    memory_mb: int = 0
    """Beyond what a worker takes with all libraries loaded."""
    gpu: float = 0.0
    """Share of a card, for as long as there are cards; with 0 it computes on the CPU."""
    tag: str = ""
    avoid: frozenset[str] = frozenset()
    """Hosts to keep off, as long as there is another one that could do it."""
    apart: bool = False
    """Whether it is computed in a process of its own, where it has no card."""


def anything(_task: Any) -> Need:
    """The need of tasks that may run on any worker."""
    return Need()


class Apart(Protocol):
    """Calls a module's own function in another process, which has the libraries of one name's calls
    alone. Argument, value and error are small.
    """

    def __call__(self, name: str, function: Callable[[A], R], argument: A, /) -> R: ...


def _here(_name: str, function: Callable[[A], R], argument: A, /) -> R:
    return function(argument)


_computed: ContextVar[Callable[[], None]] = ContextVar("computed")
_apart: ContextVar[Apart] = ContextVar("apart")


def computed() -> None:
    """To be called by a task that needs no core any more, but still has to wait for the model
    store: the executor may begin another one beside it.

    By then it should hold no more memory than what it still has to send.
    """
    _computed.get(lambda: None)()


def apart(name: str, function: Callable[[A], R], argument: A) -> R:
    """To be called by a task for what it computes apart; see Apart. An executor without other
    processes calls the function here.
    """
    return _apart.get(_here)(name, function, argument)


@contextmanager
def hearing(release: Callable[[], None], elsewhere: Apart) -> Iterator[None]:
    """For executors: inside, `computed` calls `release`, and `apart` calls `elsewhere`."""
    tokens = _computed.set(release), _apart.set(elsewhere)
    try:
        yield
    finally:
        _computed.reset(tokens[0])
        _apart.reset(tokens[1])


class Executor(Protocol):
    """Runs tasks somewhere. Tasks carry paths and hashes, never arrays or models."""

    @property
    def remote(self) -> bool:
        """Whether workers may lack our local cache, so that they need files through the store."""
        ...

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    @property
    def hosts(self) -> frozenset[str]:
        """The names of the hosts that tasks run on."""
        ...

    def run(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        need: Callable[[T], Need] = anything,
        deadline: float | None = None,
    ) -> Iterator[Done[T, R]]:
        """Yield each task as it ends, in no order. `function` is a module's own function.

        `need` says where a task may run. One that no worker has the memory for ends with
        NotEnoughMemory and is not begun; a tag or a card that no worker declares is done without.

        At `deadline` (time.monotonic) the iteration ends and what still runs is cancelled, as it
        is when the iterator is closed early. A task whose worker dies is done again elsewhere,
        a few times, then ends with WorkerLost. A HostUnfit gets the name of its host.
        """
        ...


class Inline:
    """Runs each task in the calling process, one after the other."""

    remote = False
    workers = 1
    hosts = frozenset({HostUnfit.host})

    def run(
        self,
        function: Callable[[T], R],
        tasks: Sequence[T],
        *,
        need: Callable[[T], Need] = anything,  # noqa: ARG002 - there is but one place
        deadline: float | None = None,
    ) -> Iterator[Done[T, R]]:
        for task in tasks:
            if deadline is not None and time.monotonic() >= deadline:
                return
            try:
                yield Done(task, function(task), None)
            except Exception as error:  # the caller decides what a failure means
                yield Done(task, None, error)
