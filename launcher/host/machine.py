"""A host: what processes here may use of it, and how to tell it from all others."""

import contextlib
import itertools
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.installed import version_of
from launcher.host.processes import boot_id, is_dead

_MEMORY = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_GPUS = Path("/proc/driver/nvidia/gpus")
_NUMBERED_TOGETHER = Path("/proc/self/ns/pid")
_NOT_TOLD = "unknown-boot"
_SLOT = re.compile(r".*:(?P<pid>[1-9][0-9]{0,8}):(?P<boot>[^:]+):[0-9]+")

SEEN = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`identity` tells this process from every other: a pid alone comes back after a reboot."""

    identity: str
    name: str
    pid: int
    version: str
    gpus: int

    def is_neighbour(self, identity: str | None, pid: int | None) -> bool:
        """Whether this is the identity of another process of this machine, since it last began."""
        of_older_versions = f"{self.name}:{pid}:{_boot().partition('.')[0]}"
        known = (_identity(self.name, pid), of_older_versions)
        return identity in known and identity != self.identity and pid != self.pid

    def outlived(self, identity: str) -> bool:
        """Whether this is the identity, with its slot, of a process that is certainly dead: no
        process has its number, or we have it by now. For other machines, boots and containers
        this cannot be told. To be asked before we claim anything.
        """
        found = _SLOT.fullmatch(identity)
        if found is None or found["boot"] != _boot() or found["boot"] == _NOT_TOLD:
            return False
        pid = int(found["pid"])
        return pid == self.pid or is_dead(pid)


def this_host() -> Host:
    name, pid = socket.gethostname(), os.getpid()
    return Host(
        identity=_identity(name, pid),
        name=name,
        pid=pid,
        version=version_of("deepcredit") or "unknown",
        gpus=len(cards()),
    )


def cards(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """NVIDIA cards that processes with such an environment may use, as CUDA_VISIBLE_DEVICES names
    them, which hides the others from us as from every program.
    """
    there = len(list(_GPUS.iterdir())) if _GPUS.is_dir() else 0
    shown = environ.get(SEEN)
    if shown is None:
        return tuple(str(number) for number in range(there))
    if not there:
        return ()
    # As CUDA reads it: whatever follows a word that is no name is hidden. Parts of a card have
    # names, too, so there may be more names than cards.
    numbers = {str(number) for number in range(there)}
    names = (name.strip() for name in shown.split(","))
    known = itertools.takewhile(lambda name: name in numbers or name[:1].isalpha(), names)
    return tuple(dict.fromkeys(known))


def free_memory_mb(reserved: int) -> int | None:
    """What new processes may use without swapping, if those that are here may yet come to take
    `reserved`; None where the kernel does not tell.
    """
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    if not kilobytes:
        return None
    return max(0, min(int(kilobytes[0]) // 1024, memory_mb() - reserved))


def most_memory_mb() -> int | None:
    """What free_memory_mb can ever be; None where it is."""
    return None if free_memory_mb(0) is None else memory_mb()


def memory_mb() -> int:
    """What processes here may use in all: the machine's memory, or less if a cgroup says so, such
    as that of a service with MemoryMax.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min((machine, *_cgroup_limits())) // 2**20


def cores() -> int:
    """Those that processes here may keep busy: the machine's, or fewer if an affinity or a cgroup
    says so, such as that of a service with CPUQuota.
    """
    return max(1, min((len(os.sched_getaffinity(0)), *_cgroup_cores())))


def _cgroup_limits() -> list[int]:
    """Limits of memory, in bytes."""
    return [int(text) for text in _cgroup_texts("memory.max") if text.isdigit()]


def _cgroup_cores() -> list[int]:
    pairs = (text.split() for text in _cgroup_texts("cpu.max"))
    return [int(quota) // int(period) for quota, period in pairs if quota.isdigit()]


def _cgroup_texts(name: str) -> Iterator[str]:
    """What a file says of our control group and all that it is part of; "max" is no limit."""
    try:
        lines = _OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    for group in (_CGROUPS / each for each in own):
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError):  # there is none
                yield (folder / name).read_text(encoding="ascii").strip()


def _identity(name: str, pid: int | None) -> str:
    return f"{name}:{pid}:{_boot()}"


def _boot() -> str:
    """The boot of the machine and the namespace in which a number means one process: another
    container has its own. The kernel uses its name again when all processes in it are dead.
    """
    try:
        return f"{boot_id()}.{_NUMBERED_TOGETHER.stat().st_ino}"
    except OSError:
        return _NOT_TOLD
