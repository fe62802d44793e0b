"""Names of the files that a run puts into the store.

STEM.fFENCE.EXECUTION.ENDING: the fence, so that a run that lost its batch overwrites nothing, and
what it leaves is known as a dead run's; the execution, so that neither does a worker that was
frozen, taken for dead, and wakes after another did its task (files of equal numbers may differ by
bytes that say nothing), nor a database restored from a backup, which gives its fences again.
"""

import re
from uuid import uuid4

_FENCE = re.compile(r"\.f(\d+)(?=\.[^/]+$)")


def of_run(stem: str, fence: int, ending: str) -> str:
    return f"{stem}.f{fence}.{ending}"


def of_one_execution(uri: str) -> str:
    """A name that nobody gives twice, from one that `of_run` gave."""
    named, times = _FENCE.subn(rf"\g<0>.{uuid4().hex[:12]}", uri, count=1)
    assert times == 1, f"{uri} names no fence"
    return named


def fence_of(uri: str) -> int | None:
    """None: it is no name of a run's file."""
    found = _FENCE.search(uri)
    return int(found[1]) if found else None
