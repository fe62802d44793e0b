"""Doing an operation again while connections break."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from configs.errors import StoreUnavailable
from storage.artifacts.sftp_wire import ConnectionLost

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0

_log = structlog.get_logger(__name__)


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

    Pauses double up to five seconds, with jitter, so that a server that comes back is not met by
    all its clients at once.

    Raises:
        StoreUnavailable: time is up.
    """
    since: float | None = None
    seen, pause, tries = progress(), _FIRST_PAUSE_SECONDS, 1
    while True:
        try:
            return operation()
        except ConnectionLost as error:
            now = time.monotonic()
            if since is None or progress() != seen:
                since, seen, pause = now, progress(), _FIRST_PAUSE_SECONDS
            if now - since >= seconds:
                raise StoreUnavailable(f"{what}: {error} (tries: {tries})") from error
            _log.warning("store connection lost", operation=what, error=str(error), tries=tries)
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        tries += 1
