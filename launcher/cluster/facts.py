"""What a host has, and what its workers get of that."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from configs.cluster import Host
from launcher.cluster import capacity


@dataclass(frozen=True, slots=True)
class Facts:
    """What a host told about itself; `machine` is one for all names of a machine. `wanted` and
    `running` are of workers without a card: how many `scale` asked for, and by the name of each
    process how many were started and how many of them stay.
    """

    machine: str
    cores: int
    gpus: int
    memory_mb: int
    ip: str
    versions: Mapping[str, str]
    wanted: int | None = None
    running: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def staying(self) -> int:
        return sum(stay for _, stay in self.running.values())

    @property
    def free_name(self) -> str:
        """For one more process of workers without a card."""
        names = (f"cpu{number}" for number in itertools.count(1))
        return next(name for name in names if name not in self.running)

    def limit_mb(self, host: Host, threads: int) -> float:
        """Memory of a worker."""
        return capacity.limit_mb(host.memory_limit, threads, self.cores, self.memory_mb)

    def fits_a_card(self, host: Host) -> int:
        if host.fits_per_gpu is not None:
            return host.fits_per_gpu
        return capacity.fits_a_card(self.cores, host.gpus)
