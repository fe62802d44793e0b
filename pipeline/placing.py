"""Tasks with a place: what a task asks of a worker, and where it goes when a card was full."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar, cast

import structlog

from configs.errors import CardFull
from models.demand import Demand
from pipeline.executor import Done, Executor, Need

log = structlog.get_logger(__name__)


class Placed(Protocol):
    """A dataclass that says where it may run. `note` tells what became of that."""

    @property
    def need(self) -> Need: ...

    @property
    def note(self) -> str | None: ...


T = TypeVar("T", bound=Placed)
R = TypeVar("R")


class Function(Protocol):
    """A module's own function of one task."""

    __name__: str

    def __call__(self, task: Any, /) -> Any: ...


def need_of(demand: Demand, tag: str | None = None) -> Need:
    return Need(memory_mb=demand.memory_mb, gpu=demand.gpu, tag=tag or "")


def run(
    executor: Executor, function: Any, tasks: Sequence[T], *, deadline: float | None = None
) -> Iterator[Done[T, Any]]:
    """As the executor runs them; but a task that found its card full is done again when the
    others have ended: first with the card to itself, then on the CPU.
    """
    waiting = list(tasks)
    while waiting:
        full: list[T] = []
        for ended in executor.run(function, waiting, need=_need, deadline=deadline):
            if isinstance(ended.error, CardFull) and ended.task.need.gpu:
                full.append(_elsewhere(ended.task, ended.error))
            else:
                yield ended
        waiting = full


def _need(task: Placed) -> Need:
    return task.need


def _elsewhere(task: T, error: CardFull) -> T:
    if task.need.gpu < 1:
        share, note = 1.0, "no memory left on a shared card: done with the card to itself"
    else:
        share, note = 0.0, "no memory left on a card of its own: done on the CPU"
    log.warning("card full", task=str(getattr(task, "label", "")), next=note, said=str(error))
    other = replace(cast(Any, task), need=replace(task.need, gpu=share), note=note)
    return cast(T, other)
