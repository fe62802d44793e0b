"""Where a task may run: what it needs and what workers have, put into Dask's terms. It asks nobody.

Workers that `deepcredit cluster` or a launcher started declare what they have as Dask resources:
CPU (threads) and MEMORY (MB), or GPU (1, a card) and MEMORY. Others may declare nothing. What no
worker declares cannot be asked for, and what cannot bind is not: tasks without restrictions are
spread best.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dask.utils import parse_bytes

from configs.errors import BadSetting, NotEnoughMemory
from pipeline.executor import Need

CPU, GPU, MEMORY = "CPU", "GPU", "MEMORY"
OURS = (CPU, GPU, MEMORY)

OWN_MB = 400
"""What a worker takes by itself, with the libraries of all kinds loaded."""

FITS_A_CARD = 4
"""So many small ones may share a card, in quarters of it."""

_TOUCH = 1 / 1024  # of what is had or not, and never used up: a tag, a place without a card
_MIB = 2**20
_NO_LIMIT = re.compile(r"0+(\.0+)? ?[kKMGT]?i?B?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """A worker. `memory_mb`: for fits; None where there is no limit."""

    address: str
    host: str
    threads: int
    memory_mb: float | None
    resources: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Place:
    """`workers`: those to prefer, by address; none: all alike. `hosts`: where alone it may run;
    none: anywhere. `missing`: what nobody declares. `off_card`: there are cards, but no worker with
    one has the memory, or all are on hosts to keep off.
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


def workers_in(info: Mapping[str, Any]) -> list[Has]:
    """From a scheduler's `identity`."""
    return [_worker(address, each) for address, each in info["workers"].items()]


def fits_a_card(cores: int, cards: int) -> int:
    """Fits that share each card, if that leaves half of the cores."""
    return max(1, min(FITS_A_CARD, cores // (2 * cards))) if cards else 0


def limit_mb(size: str, threads: int, cores: int, memory_mb: int) -> float:
    """A worker's limit, 0 for none: a size such as 4GB, or for "auto" its threads' part of the
    host's memory.

    Raises:
        BadSetting: it is no size, or leaves nothing for fits.
    """
    if _NO_LIMIT.fullmatch(size):
        return 0.0
    if size == "auto":
        return memory_mb * min(1.0, threads / cores)
    try:
        limit = float(parse_bytes(size)) / _MIB
    except (ValueError, OverflowError):
        raise BadSetting(f"memory limit {size!r} is no size like 4GiB, nor auto or 0") from None
    if limit <= OWN_MB:
        raise BadSetting(
            f"memory limit {size!r} is {limit:.0f} MiB, and a worker takes {OWN_MB} by itself; "
            "allow more, such as 4GiB"
        )
    return limit


def declared(limit_mb: float, *, threads: int = 0, cards: int = 0) -> dict[str, float]:
    """The resources of a worker of ours; `limit_mb` 0: no limit."""
    memory = {MEMORY: float(int(max(0.0, limit_mb - OWN_MB)))} if limit_mb else {}
    return ({GPU: float(cards)} if cards else {CPU: float(threads)}) | memory


def place(need: Need, workers: Sequence[Has]) -> Place:
    """Where it may run. To keep off a host it does without a card, or takes the place of those that
    want one, but it does not do without its tag.

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
    """Where it could run, to be held to that.

    To prefer would not do: Dask lets whoever is idle take what merely prefers others, and one that
    fails every task at once is idle.
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


def _worker(address: str, info: Mapping[str, Any]) -> Has:
    resources: Mapping[str, float] = info["resources"]
    limit = info["memory_limit"] or 0
    memory = max(0.0, limit / _MIB - OWN_MB) if limit else None
    return Has(
        address=address,
        host=info["host"],
        threads=info["nthreads"],
        memory_mb=resources.get(MEMORY, memory),
        resources=resources,
    )
