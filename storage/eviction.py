"""Making room in a cache: files that were longest not asked for go, if nobody holds them."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from storage.scratch import lock

# A file found a moment ago may not be opened yet; once it is, it outlives its name.
_GRACE_SECONDS = 60


def shrink(folder: Path, limit_of: Callable[[int], int], *, aside: Path) -> bool:
    """Remove what nobody has asked for lately, the oldest first; return whether anything went.
    `limit_of`: from the bytes that are there, those that may stay. `aside`: a folder on the same
    file system.
    """
    files = sorted(_files(folder), key=lambda file: file[2])
    before = total = sum(size for _, size, _ in files)
    for path, size, _ in files:
        if total <= limit_of(before):
            break
        # Looked at anew: since we counted, somebody may have asked for it.
        if unused_seconds(path) >= _GRACE_SECONDS and _remove_unused(path, aside):
            total -= size
    return total < before


def unused_seconds(path: Path) -> float:
    try:
        # A time to come is one from before the clock was set back.
        return abs(time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return math.inf


def _remove_unused(path: Path, aside: Path) -> bool:
    """Unless a process holds it. Away first, then looked at once more: somebody may have asked
    for it since.
    """
    away = aside / uuid4().hex
    with suppress(FileNotFoundError), path.open("rb") as file:
        if not lock(file):
            return False
        path.replace(away)
        if unused_seconds(away) < _GRACE_SECONDS:
            away.replace(path)
            return False
        away.unlink(missing_ok=True)
    return True


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Path, bytes and time of last use of each file below; others may remove them meanwhile."""
    for path in folder.glob("*/*"):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        yield path, found.st_size, found.st_mtime
