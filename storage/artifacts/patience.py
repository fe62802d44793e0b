"""Doing an operation again while connections break."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from configs.backoff import pauses
from configs.errors import StoreUnavailable
from storage.artifacts.sftp_wire import ConnectionLost

T = TypeVar("T")

_PAUSES = 0.1, 5.0

log = structlog.get_logger(__name__)


def _none() -> int:
    return 0


def persist(
    operation: Callable[[], T],
    what: str,
    *,
    seconds: float,
    progress: Callable[[], int] = _none,
) -> T:
    """Repeat `operation` on ConnectionLost until `seconds` have passed since the first loss after
    the last `progress`: however long an operation takes, it is tried again when it breaks.

    Raises:
        StoreUnavailable: time is up.
    """
    since: float | None = None
    seen, waits, tries = progress(), pauses(*_PAUSES), 1
    while True:
        try:
            result = operation()
        except ConnectionLost as error:
            now = time.monotonic()
            if anew := since is None or progress() != seen:
                since, seen, waits = now, progress(), pauses(*_PAUSES)
            if now - since >= seconds:
                raise StoreUnavailable(f"{what}: {error} (tries: {tries})") from error
            if anew:  # a line each time would be hundreds: a process does several things at once
                log.warning(
                    "store connection lost; trying again",
                    operation=what,
                    error=str(error),
                    tries=tries,
                    at_most_seconds=round(seconds),
                )
        else:
            if tries > 1:
                log.info("store connection is back; this is done", operation=what, tries=tries)
            return result
        time.sleep(next(waits))
        tries += 1
