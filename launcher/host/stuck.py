"""Ends a process of which a thread is stuck: at work, and for long without having run at all.

A thread that computes, or asks again and again, uses some of its processor. One that uses none
waits, and what has not come for so long hardly will: an answer that was lost, a lock that nobody
frees. Every wait that we know of has an end of its own; this ends those that we do not know.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STUCK = 4
"""The exit code of such a process."""

_LOOKS = 8
_TELL_SECONDS = 10.0


@contextmanager
def watched(limit_seconds: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Inside, the calling thread is at work. When it has not run for `limit_seconds` (0: however
    long), `tell` is called by another thread, with where it stands, and the process exits.
    """
    if not limit_seconds:
        yield
        return
    ended = threading.Event()
    me = threading.get_ident()
    watch = threading.Thread(
        target=_watch,
        args=(me, time.pthread_getcpuclockid(me), limit_seconds, ended, tell),
        name=f"watch-{me}",
        daemon=True,
    )
    watch.start()
    try:
        yield
    finally:
        ended.set()


def _watch(
    thread: int,
    clock: int,
    limit_seconds: float,
    ended: threading.Event,
    tell: Callable[[str], None],
) -> None:
    """Looks are counted, not seconds: a process that was stopped meanwhile had no time to run."""
    ran, still = -1, 0
    while still < _LOOKS:
        if ended.wait(limit_seconds / _LOOKS):
            return
        try:
            before, ran = ran, time.clock_gettime_ns(clock)
        except OSError:  # the thread has ended since
            return
        still = still + 1 if ran == before else 0
    frame = sys._current_frames().get(thread)  # noqa: SLF001
    if ended.is_set():
        return
    where = "".join(traceback.format_stack(frame))
    # In a thread of its own: what is to be told may wait for ever for the same thing.
    telling = threading.Thread(target=tell, args=(where,), daemon=True)
    telling.start()
    telling.join(_TELL_SECONDS)
    os._exit(STUCK)
