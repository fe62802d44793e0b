"""Names of the files that batches put into the store, and what a name tells.

What one run writes is STEM.fFENCE.EXECUTION.ENDING: the fence, so that a run that lost its batch
overwrites nothing, and what it leaves is known as a dead run's; the execution, so that neither does
a worker that was frozen, taken for dead, and wakes after another did its task (files of equal
numbers may differ by bytes that say nothing), nor a database restored from a backup, which gives
its fences again. What any run may share is named by its content, and so is a picture of a batch.
"""

import re
from uuid import uuid4

from storage.records import ModelName

MODELS, PREDICTIONS, ENSEMBLES = "models/T", "predictions/P", "ensembles/E"
"""Followed by the number of a batch: the folder of what it trained, predicted or searched."""

MATRIX, LABELS = "matrices/{sha256}.npy", "labels/{sha256}.safetensors"
SPLIT, PREPROCESSOR = "splits/{sha256}.safetensors", "preprocessors/{sha256}.json"
ROW_KEYS = "row_keys/{sha256}.safetensors"

SHARED = MATRIX, LABELS, SPLIT, PREPROCESSOR, ROW_KEYS
"""Named by the hash of their content."""

_OF_BATCHES = MODELS, PREDICTIONS, ENSEMBLES
_SHARED_FOLDERS = tuple(name.split("/")[0] for name in SHARED)
FOLDERS = (*_SHARED_FOLDERS, *(name.split("/")[0] for name in _OF_BATCHES))
"""Where batches put their files."""

_BATCH = re.compile(rf"^(?:{'|'.join(_OF_BATCHES)})(\d+)/")
_ON_BEHALF = re.compile(r"\.e(\d+)\.f\d+\.[^/]+$")
_FENCE = re.compile(r"\.f(\d+)(?=\.[^/]+$)")
_PICTURE = re.compile(rf"^{ENSEMBLES}\d+/[^/]+\.png$")
_IN_SHARED = re.compile(rf"^(?:{'|'.join(_SHARED_FOLDERS)})/[^/]+$")


def of_model(folder: str, name: ModelName) -> str:
    """The stem for a model's files; `folder` is MODELS or PREDICTIONS."""
    batch_id, model_no, model_sub_no = name
    return f"{folder}{batch_id}/{model_no}/{model_sub_no}"


def of_member(batch_id: int, name: ModelName) -> str:
    """The stem for what a member of an ensemble scores in a predict batch."""
    return of_model(f"{PREDICTIONS}{batch_id}/T", name)


def of_picture(batch_id: int, name: str) -> str:
    """A name with the beginning of the content's hash."""
    return f"{ENSEMBLES}{batch_id}/{name}.{{sha256:.16}}.png"


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
    match = _FENCE.search(uri)
    return int(match[1]) if match else None


def is_picture(uri: str) -> bool:
    return bool(_PICTURE.search(uri))


def is_shared(uri: str) -> bool:
    """Whether it is named by its content alone."""
    return bool(_IN_SHARED.search(uri))


def writer_of(uri: str) -> int | None:
    """The batch that gives such a name; None: it is no name of a batch's file."""
    match = _ON_BEHALF.search(uri) or _BATCH.search(uri)
    return int(match[1]) if match else None
