"""Tasks with a place: what a task asks of a worker, and where it goes when a card was full or a
host unfit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from configs.errors import CardFull, HostUnfit
from models.demand import Demand
from pipeline.executor import Done, Executor, Need

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(ABC):
    """What a worker gets to do. It carries paths and hashes, never arrays."""

    settings: str
    """As packed by pipeline.workplace.pack."""
    need: Need
    note: str | None = None
    """What became of `need`, where that was not to be had."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What it is to people."""


T = TypeVar("T", bound=Task)
R = TypeVar("R")


def need_of(demand: Demand) -> Need:
    return Need(memory_mb=demand.memory_mb, gpu=demand.gpu, apart=demand.apart)


def run(
    executor: Executor,
    function: Callable[[T], R],
    tasks: Sequence[T],
    *,
    tag: str,
    deadline: float | None = None,
) -> Iterator[Done[T, R]]:
    """As the executor runs them, on workers with the batch's `tag`. But some are done again when
    the others have ended: a task that found its card full, first with the card to itself, then on
    the CPU; and one that came to an unfit host, on another one, as long as others succeed or there
    is a host that was not found unfit.
    """

    def need(task: T) -> Need:
        return replace(task.need, tag=tag)

    waiting = list(tasks)
    hosts: set[str] = set()  # that were found unfit
    while waiting:
        full: list[T] = []
        unfit: list[tuple[T, HostUnfit]] = []
        succeeded = False
        for ended in executor.run(function, waiting, need=need, deadline=deadline):
            if isinstance(ended.error, CardFull) and ended.task.need.gpu:
                full.append(_elsewhere(ended.task, ended.error))
            elif isinstance(ended.error, HostUnfit):
                unfit.append((ended.task, ended.error))
            else:
                succeeded = succeeded or ended.error is None
                yield ended
        more = {error.host for _, error in unfit} - hosts
        hosts |= more
        if unfit and not succeeded and not (more and executor.hosts - hosts):
            yield from (Done(task, None, error) for task, error in unfit)
            unfit = []
        if unfit:
            said = str(unfit[0][1])
            log.warning("host unfit; its tasks are done again", tasks=len(unfit), said=said)
        waiting = [*full, *(_avoiding(task, hosts) for task, _ in unfit)]


def _avoiding(task: T, hosts: set[str]) -> T:
    """Also those that were unfit for others: else two tasks may change places, and no host be left
    that is new.
    """
    return replace(task, need=replace(task.need, avoid=task.need.avoid | hosts))


def _elsewhere(task: T, error: CardFull) -> T:
    if task.need.gpu < 1:
        share, note = 1.0, "no memory left on a shared card: done with the card to itself"
    else:
        share, note = 0.0, "no memory left on a card of its own: done on the CPU"
    log.warning("card full", task=task.label, next=note, said=str(error))
    return replace(task, need=replace(task.need, gpu=share), note=note)
