"""Functions for Dask workers to run; workers import this module by its name."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from distributed import get_worker
from distributed.comm.addressing import get_address_host

from configs.errors import BadData, HostUnfit, WorkerLost
from pipeline.executor import apart, computed
from tests.apart_tasks import be_awkward, once


def double(number: int) -> int:
    return 2 * number


def had_imported(name: str) -> bool:
    had = name in sys.modules
    import_module(name)
    return had


def refuse(number: int) -> int:
    raise BadData(f"행 {number}: no such column")


def refuse_otherwise(number: int) -> int:
    error = WorkerLost("a subclass keeps its type")
    error.__cause__ = KeyError(number)
    raise error


class Unreadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return be_awkward, (1,)


def unreadable(_: int) -> object:
    return Unreadable()


def compute_apart(task: tuple[str, str, int]) -> str:
    """As apart_tasks.once, in a process of its own."""
    return apart("name", once, task)


def die_if_three(number: int) -> int:
    time.sleep(0.02)
    if number == 3:
        time.sleep(0.5)  # Dask's nanny hardly restarts a worker that dies while it starts
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(marker: str) -> str:
    """Kill the worker the first time that this marker is seen."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done again"


def wait_once(marker: str) -> str:
    """For ever, the first time that this marker is seen."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        threading.Event().wait()
    return "done again"


def die_three_times(folder: str) -> int:
    deaths = len(list(Path(folder).iterdir()))
    if deaths < 3:
        time.sleep(0.5)  # as above
        Path(folder, str(deaths)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return deaths


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def note(path: str) -> int:
    """Say in a file that it ran; returns the worker's pid."""
    with Path(path).open("a") as file:
        file.write("x")
    return os.getpid()


def note_slowly(path: str) -> int:
    time.sleep(0.3)
    return note(path)


def compute_and_send(path: str) -> tuple[int, float, float, float]:
    """The worker's pid, and when it began, had computed, and had sent its file."""
    began = time.monotonic()
    time.sleep(0.1)
    ready = time.monotonic()
    computed()
    time.sleep(0.3)
    return note(path), began, ready, time.monotonic()


def note_for_long(path: str) -> int:
    """Says so when it begins."""
    pid = note(path)
    time.sleep(8)
    return pid


def start(_: int) -> dict[str, str]:
    """The environment that this process started with, whatever was set later."""
    entries = Path("/proc/self/environ").read_text(encoding="utf-8").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def listens_at(_: int) -> set[str]:
    """The addresses of this host at which the worker can be reached."""
    found = psutil.Process().net_connections("tcp")
    return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN}


def imports_from(_: int) -> list[str]:
    return sys.path


def surroundings(_: int) -> dict[str, str]:
    return dict(os.environ)


def be_unfit_where_it_came_first(task: Any) -> str:
    """The first host that takes a task of this marker cannot work, as its file then says."""
    marker, host = Path(task.marker), get_address_host(get_worker().address)
    mine = marker.with_name(uuid4().hex)
    mine.write_text(host)
    with suppress(FileExistsError):
        os.link(mine, marker)  # there with its content, or not at all
    if host == marker.read_text():
        raise HostUnfit(f"{host}: no space left")
    return host


def where_is(task: tuple[int, float]) -> tuple[str, float, float]:
    """Takes so many seconds; the worker's name, and when it began and ended."""
    began = time.monotonic()
    time.sleep(task[1])
    return str(get_worker().name), began, time.monotonic()
