"""Functions for processes apart to call, which import this module by its name: it is light."""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

from configs.errors import BadData


class Awkward(Exception):
    """Cannot be made again from its arguments, so it cannot be unpickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def pid(_: object) -> int:
    return os.getpid()


def pid_later(_: object) -> int:
    time.sleep(1)
    return os.getpid()


def lack(number: int) -> bytes:
    return Path(str(number)).read_bytes()


def keep_the_interpreter(seconds: int) -> None:
    """Wait without letting any other thread run."""
    ctypes.PyDLL(None).sleep(seconds)


def stop_itself(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def echo(argument: object) -> object:
    print(f"said {argument}")
    return argument


def refuse(number: int) -> int:
    raise BadData(f"행 {number}: no such column")


def be_awkward(number: int) -> int:
    raise Awkward(number, number)


def leave(number: int) -> int:
    raise SystemExit(number)


def leave_at_once(code: int) -> None:
    os._exit(code)


def kill_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def say_so_and_wait(marker: str) -> None:
    """For ever, after its own number is in a file."""
    path = Path(marker)
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    threading.Event().wait()


def be_signalled(_: object) -> str:
    """By whoever signals every process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
        time.sleep(0.05)
    return "goes on"


def take(megabytes: int) -> int:
    """As much memory, for a moment."""
    taken = b"x" * (megabytes * 2**20)
    time.sleep(1.5)
    return len(taken)


def once(task: tuple[str, str, int]) -> str:
    """The first time that this marker is seen, call the function of that name."""
    marker, name, argument = task
    if not Path(marker).exists():
        Path(marker).touch()
        globals()[name](argument)
    return "done again"
