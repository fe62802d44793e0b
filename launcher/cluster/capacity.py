"""What a worker has: its share of a host, and what it declares of that to Dask.

Workers that `deepcredit cluster` or a launcher started declare what they have as Dask resources:
CPU (threads) and MEMORY (MB), or GPU (1, a card) and MEMORY. Others may declare nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dask.utils import parse_bytes

from configs.errors import BadSetting

CPU, GPU, MEMORY = "CPU", "GPU", "MEMORY"
OURS = (CPU, GPU, MEMORY)

OWN_MB = 400
"""What a worker takes by itself, with the libraries of all kinds loaded."""

FITS_A_CARD = 4
"""So many small ones may share a card, in quarters of it."""

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


def workers_in(info: Mapping[str, Any]) -> list[Has]:
    """From a scheduler's `identity`."""
    return [_worker(address, each) for address, each in info["workers"].items()]


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
