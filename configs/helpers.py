"""Threads that help one that works, as where an answer is waited for and no processor is needed."""

from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

_WAKE_SECONDS = 5.0


def awaited(helping: Iterable[Future[T]]) -> list[T]:
    """What helpers return, in order, when all have ended; raises the first one's error.

    It wakes now and then: a thread that never does is taken for one that hangs
    (launcher/host/stuck.py), however busy its helpers are.
    """
    futures = list(helping)
    while wait(futures, timeout=_WAKE_SECONDS).not_done:
        pass
    return [future.result() for future in futures]
