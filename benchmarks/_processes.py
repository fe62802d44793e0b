"""The processes of an installation: whether a launcher is ready, and the peak memory of each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bank import families

_LOOK_SECONDS = 3.0  # the kernel keeps the peaks; to look often would cost what is measured


@contextmanager
def peaks() -> Iterator[dict[str, float]]:
    """While it lasts: role to the highest resident memory, in MB, of any process of that role.

    Roles: launcher, child, scheduler, worker, nanny; all below this process.
    """
    found: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for process in psutil.Process().children(recursive=True):
                role = role_of(process)
                if role:
                    found[role] = max(found.get(role, 0.0), peak(process.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Grown:
    """Memory of a process in MB: the highest, that beyond what it had at the beginning, and its
    own: without pages of files, libraries among them, which processes of a host share.
    """

    peak: float
    growth: float
    own: float

    def most(self, other: "Grown") -> "Grown":
        return Grown(
            max(self.peak, other.peak),
            max(self.growth, other.growth),
            max(self.own, other.own),
        )


class Growth:
    """How much each process grew beyond what it had at the beginning, by role."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[str, float]] = {}
        for process in psutil.Process().children(recursive=True):
            if role := role_of(process):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
                self._before[process.pid] = role, process.memory_info().rss / 1e6

    def look(self) -> dict[str, Grown]:
        """The most of any process of a role. The kernel keeps the peaks; what is a process's own
        is what it is at this moment.
        """
        found: dict[str, Grown] = {}
        for pid, (role, before) in self._before.items():
            most, own = (_status(pid, name) for name in ("VmHWM", "RssAnon"))
            grown = Grown(most, most - before, own)
            found[role] = found.get(role, grown).most(grown)
        return found


def is_ready(launcher: int) -> bool:
    """Whether the child that a launcher keeps ready has imported all it needs, and waits."""
    spare = families(launcher, "--warm")
    try:
        return bool(spare) and spare[0].cpu_percent(interval=1.0) < 2
    except psutil.NoSuchProcess:
        return False


def role_of(process: psutil.Process) -> str:
    """Empty for any other process."""
    try:
        words = process.cmdline()
        if words.count("launcher") == 2:  # other commands are `-m launcher batch` and so on
            return "launcher"
        if any("child_main" in word for word in words):
            return "child"
        if "dask" in words:
            return "scheduler" if "scheduler" in words else "nanny"
        parent = process.parent()
        if "spawn_main" in " ".join(words) and parent is not None and "dask" in parent.cmdline():
            return "worker"
    except psutil.NoSuchProcess:
        return ""
    return ""


def peak(pid: int) -> float:
    """MB that a process has had at most; 0 if it is gone."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else 0.0
