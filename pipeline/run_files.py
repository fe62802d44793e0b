"""Names of the files that a run puts into the store.

STEM.fFENCE.EXECUTION.ENDING: the fence, so that a run that lost its batch overwrites nothing, and
what it leaves is known as a dead run's; the execution, so that neither does a worker that was
frozen, taken for dead, and wakes after another did its task (files of equal numbers may differ by
bytes that say nothing), nor a database restored from a backup, which gives its fences again.
"""

import re
from uuid import uuid4

MODELS, PREDICTIONS, ENSEMBLES = "models/T", "predictions/P", "ensembles/E"
"""With the number of a batch: the folder of what it trained, predicted or searched."""

_BATCH = re.compile(rf"^(?:{MODELS}|{PREDICTIONS}|{ENSEMBLES})(\d+)/")
_ON_BEHALF = re.compile(r"\.e(\d+)\.f\d+\.[^/]+$")
_FENCE = re.compile(r"\.f(\d+)(?=\.[^/]+$)")


def of_run(stem: str, fence: int, ending: str) -> str:
    return f"{stem}.f{fence}.{ending}"


def on_behalf(stem: str, batch_id: int) -> str:
    """A stem for what one batch puts beside the files of another: scores that it restores."""
    return f"{stem}.e{batch_id}"


def of_one_execution(uri: str) -> str:
    """A name that nobody gives twice, from one that `of_run` gave."""
    named, times = _FENCE.subn(rf"\g<0>.{uuid4().hex[:12]}", uri, count=1)
    assert times == 1, f"{uri} names no fence"
    return named


def fence_of(uri: str) -> int | None:
    """None: it is no name of a run's file."""
    found = _FENCE.search(uri)
    return int(found[1]) if found else None


def writer_of(uri: str) -> int | None:
    """The batch that gives such a name; None: it is no name of a batch's file."""
    found = _ON_BEHALF.search(uri) or _BATCH.search(uri)
    return int(found[1]) if found else None
