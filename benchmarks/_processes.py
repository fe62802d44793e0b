"""The processes of an installation: whether a launcher is ready, and the peak memory of each."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bank import families

_LOOK_SECONDS = 3.0  # the kernel keeps the peaks; to look often would cost what is measured


@contextmanager
def peaks(look_seconds: float = _LOOK_SECONDS) -> Iterator[dict[str, float]]:
    """While it lasts: role to the highest resident memory, in MB, of any process of that role.

    Roles: launcher, child, scheduler, worker, nanny, apart (what computes for a worker), load (the
    command); all below this process. One that ends may grow unseen after the last look at it.
    """
    found: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(look_seconds):
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
        if "dataset" in words and "load" in words:
            return "load"
        if any("child_main" in word for word in words):
            return "child"
        if any("apart_main" in word for word in words):
            return "apart"
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
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else 0.0
