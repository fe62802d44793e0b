"""Waiting for a condition, with a deadline: no test sleeps and hopes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 60) -> T:
    """What `condition` returns once that is true. Whoever waits long asks less often: asking takes
    the processor from what it waits for.
    """
    began = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"not within {seconds} s: {condition}"
        time.sleep(min(0.01 + waited / 20, 0.05))
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which is dead but not reaped, does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
