"""What a launcher tells about the host it runs on."""

import os
import socket
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MEMORY = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`identity` tells this process from every other: a pid alone comes back after a reboot."""

    identity: str
    name: str
    pid: int
    version: str
    gpus: int


def this_host() -> Host:
    name, pid = socket.gethostname(), os.getpid()
    return Host(
        identity=f"{name}:{pid}:{_boot_id()}",
        name=name,
        pid=pid,
        version=_version(),
        gpus=len(list(_GPUS.iterdir())) if _GPUS.is_dir() else 0,
    )


def free_memory_mb() -> int | None:
    """What new processes may use without swapping; None where the kernel does not tell."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kilobytes[0]) // 1024 if kilobytes else None


def memory_mb() -> int:
    """What processes here may use in all: the machine's memory, or less if a cgroup says so."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = int(_CGROUP.read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is none, or it says "max"
        limit = machine
    return min(machine, limit) // 2**20


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown-boot"


def _version() -> str:
    try:
        return version("deepcredit")
    except PackageNotFoundError:
        return "unknown"
