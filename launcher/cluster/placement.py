"""Where a task may run: what it needs and what workers have, put into Dask's terms. It asks nobody.

What no worker declares cannot be asked for, and what cannot bind is not: tasks without restrictions
are spread best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from configs.errors import NotEnoughMemory
from launcher.cluster.capacity import CPU, GPU, MEMORY, Has
from pipeline.executor import Need

_TOUCH = 1 / 1024  # of what is had or not, and never used up: a tag, a place without a card


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task may run. `workers`: addresses of those to prefer; empty: all are alike. `hosts`:
    the only ones where it may run; empty: any. `missing`: resources that no worker declares.
    `off_card`: there are cards, but no worker with one has the memory, or all are on hosts to keep
    off.
    """

    resources: dict[str, float] = field(default_factory=dict)
    workers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    off_card: bool = False
    hosts: tuple[str, ...] = ()

    def offered_by(self, worker: Has) -> bool:
        """Whether it could be done there; elsewhere it never is."""
        return (not self.hosts or worker.host in self.hosts) and all(
            worker.resources.get(name, 0) >= much for name, much in self.resources.items()
        )


def place(need: Need, workers: Sequence[Has]) -> Place:
    """Where it may run. To keep off a host it does without a card, or goes to a worker with a card
    that it does not want, but it never does without its tag.

    Raises:
        NotEnoughMemory: no worker could ever take it.
    """
    found = _place(need, workers)
    if not need.avoid:
        return found
    others = [each for each in workers if each.host not in need.avoid]
    if need.tag and need.tag not in found.missing and not _having(others, need.tag, _TOUCH):
        return found
    try:
        other = _place(need, others)
    except NotEnoughMemory:
        return found
    hosts = _hosts(other, need, others)
    if not hosts:
        return found
    cardless = GPU in set(other.missing) - set(found.missing)
    return replace(other, hosts=hosts, missing=found.missing, off_card=other.off_card or cardless)


def _place(need: Need, workers: Sequence[Has]) -> Place:
    missing = []
    resources: dict[str, float] = {}
    able = list(workers)
    if need.tag:
        if tagged := _having(able, need.tag, _TOUCH):
            able, resources[need.tag] = tagged, _TOUCH
        else:
            missing.append(need.tag)
    prefer: tuple[str, ...] = ()
    cards = _having(able, GPU, need.gpu) if need.gpu else []
    off_card = bool(cards) and not _large(cards, need)
    if cards and not off_card:
        able, resources[GPU] = cards, need.gpu
    else:
        if need.gpu and not cards:
            missing.append(GPU)
        able, prefer = _off_cards(able, need, resources)
    prefer = _with_memory(able, need, resources) or prefer
    return Place(resources, prefer, tuple(missing), off_card)


def _hosts(found: Place, need: Need, workers: Sequence[Has]) -> tuple[str, ...]:
    """The only hosts where it may run.

    A preference would not do: Dask lets idle workers take tasks that merely prefer others, and a
    worker that fails every task at once is idle.
    """
    could = [one for one in _large(workers, need) if found.offered_by(one)]
    if found.workers:
        could = [one for one in could if one.address in found.workers]
    return tuple(sorted({one.host for one in could}))


def _off_cards(
    able: list[Has], need: Need, resources: dict[str, float]
) -> tuple[list[Has], tuple[str, ...]]:
    """Workers without a card, if there are any with the memory, and whom to prefer where they do
    not say so.
    """
    plain = [each for each in able if not each.resources.get(GPU)]
    if not _large(plain, need) or len(plain) == len(able):
        return able, ()
    counted = _having(plain, CPU, _TOUCH)
    if _large(counted, need):
        resources[CPU] = _TOUCH
        return counted, ()
    return plain, tuple(each.address for each in plain)


def _with_memory(able: Sequence[Has], need: Need, resources: dict[str, float]) -> tuple[str, ...]:
    """Ask for memory where it could run short; returns whom to prefer where they do not declare.

    A worker that runs several tasks is always asked: a small one, not counted, may run beside a
    large one.
    """
    limited = [(each, each.memory_mb) for each in able if each.memory_mb is not None]
    if not any(each.threads > 1 or need.memory_mb > memory for each, memory in limited):
        return ()
    large = _large(able, need)
    if not large:
        raise _refusal(able, need)
    if all(MEMORY in each.resources for each in able):
        resources[MEMORY] = float(need.memory_mb)
        return ()
    return tuple(each.address for each in large) if len(large) < len(able) else ()


def _refusal(able: Sequence[Has], need: Need) -> NotEnoughMemory:
    most = max(each.memory_mb for each in able if each.memory_mb is not None)
    return NotEnoughMemory(
        f"it needs about {need.memory_mb:,} MB, and no worker has more than {most:,.0f} MB for "
        "it; let hosts have fewer workers with more memory each (workers, memory_limit), or "
        "the model or the data be smaller"
    )


def _large(workers: Sequence[Has], need: Need) -> list[Has]:
    return [one for one in workers if one.memory_mb is None or one.memory_mb >= need.memory_mb]


def _having(workers: Sequence[Has], name: str, amount: float) -> list[Has]:
    return [each for each in workers if each.resources.get(name, 0) >= amount]
