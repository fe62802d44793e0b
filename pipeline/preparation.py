"""A data set on its way to the workers: read, split, prepare, put where workers find it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from pipeline import frames, preprocess, row_keys, run_files, split, unseen
from pipeline.context import Context
from pipeline.frames import Frame
from pipeline.parameters import BatchParameters
from pipeline.row_keys import Keys
from pipeline.rules import Preprocessor, to_json
from storage import arrays
from storage.artifacts.port import Stored
from storage.records import Dataset, Split

_PERCENT = 100


class SplitParameters(BatchParameters):
    """The keys of batch_param that say which rows train, choose and judge."""

    test_size: float = Field(
        0.3, gt=0, description="share of all rows below 1, or a whole number of rows from 1"
    )
    validation_size: float = Field(
        0.2, gt=0, description="share of the rows left below 1, or a whole number of rows from 1"
    )
    split_by: Literal["random", "time", "group"] = Field(
        "random", description="random, time (newest rows test) or group (no group in two parts)"
    )
    stratify: bool = Field(True, description="random parts keep the share of positives")

    @field_validator("test_size", "validation_size")
    @classmethod
    def _whole_from_1(cls, size: float) -> float:
        if size > 1 and size != int(size):
            raise ValueError
        return size

    def doubts(self, n_rows: int) -> tuple[str, ...]:
        """Sizes that are counts, but so small that a person may have meant a percentage."""
        sizes = (("testSize", self.test_size), ("validationSize", self.validation_size))
        return tuple(
            f"{key} {size:g}: {size:g} of {n_rows} rows"
            + (f", not {size:g} %" if size <= _PERCENT else "")
            for key, size in sizes
            if size >= 1 and (size < _PERCENT or size * _PERCENT < n_rows)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that training needs of a data set. Rows of `matrix`: train, then valid, then test."""

    dataset: Dataset
    split: Split
    split_file: Stored
    matrix: Stored
    preprocessor: Stored
    row_keys: Stored
    columns: int
    """Of the matrix."""
    doubts: tuple[str, ...]
    """What the rows of the parts tell against the split."""
    unused: tuple[str, ...]
    """Which features no model sees."""


def prepare(dataset: Dataset, parameters: SplitParameters, context: Context) -> Prepared:
    """Split first; then learn the preparation from the training part alone.

    Raises:
        DatasetChanged: the rows are not those that were registered.
        BadData, BadParameter: the data or the split cannot serve.
    """
    context.report(0.0, f"reading {dataset.name}")
    frame = context.read(lambda connection: frames.read_from(connection, dataset))
    parts = split.make_split(
        frame.labels,
        test_size=parameters.test_size,
        validation_size=parameters.validation_size,
        split_by=parameters.split_by,
        stratify=parameters.stratify,
        seed=parameters.random_state,
        time=frame.time,
        groups=frame.groups,
    )
    context.report(0.01, f"preparing {frame.n_rows:,} rows")
    fitted = preprocess.fit(frame, parts.train)
    rows = np.concatenate([parts.train, parts.valid, parts.test])
    split_file = _publish_split(frame, parts, context)
    keys = _row_keys(fitted, frame, parts)
    return Prepared(
        dataset=dataset,
        split=_split_row(dataset, frame, parts, split_file),
        split_file=split_file,
        matrix=share_matrix(fitted, frame, rows, context),
        preprocessor=publish(
            run_files.PREPROCESSOR,
            lambda file: file.write_text(to_json(fitted), encoding="utf-8"),
            context,
        ),
        # Beside the split, not in it: one split may be prepared in several ways.
        row_keys=publish(run_files.ROW_KEYS, lambda file: arrays.save(file, keys), context),
        columns=preprocess.shape(fitted, frame)[1],
        doubts=(
            *split.doubts(parts, frame.labels),
            *row_keys.twins(**keys),
            *unseen.doubts(fitted, frame, parts),
        ),
        unused=fitted.unused,
    )


def share_matrix(
    fitted: Preprocessor,
    frame: Frame,
    rows: NDArray[np.int64] | None,
    context: Context,
) -> Stored:
    """Share the matrix of `rows` (None: all). It is written block by block: it is never in memory
    as a whole.
    """
    shape = preprocess.shape(fitted, frame, rows)

    def write(file: Path) -> None:
        arrays.save_matrix(file, shape, preprocess.blocks(fitted, frame, rows))

    return share(run_files.MATRIX, write, context)


def publish(uri: str, write: Callable[[Path], object], context: Context) -> Stored:
    """Put a file, which `write` makes, into the store and the local cache. `{sha256}` in `uri`
    becomes the hash of its content.
    """
    sha256, cached = context.cache.make(write)
    return context.store.put(uri.format(sha256=sha256), cached)


def share(uri: str, write: Callable[[Path], object], context: Context) -> Stored:
    """The same for what nobody needs after the batch: it goes into the store only if workers may
    not share the cache. Where they do its file is the only one, and must outlast the batch there.
    """
    sha256, cached = context.cache.make(write)
    uri = uri.format(sha256=sha256)
    if context.executor.remote:
        return context.store.put(uri, cached)
    context.cache.hold(cached)
    return Stored(uri=uri, sha256=sha256, bytes=cached.stat().st_size)


def _publish_split(frame: Frame, parts: split.Parts, context: Context) -> Stored:
    rows = {"train": parts.train, "valid": parts.valid, "test": parts.test}
    named: dict[str, NDArray[Any]] = {f"rows_{name}": numbers for name, numbers in rows.items()}
    named |= {f"y_{name}": frame.labels[numbers] for name, numbers in rows.items()}
    return publish(run_files.SPLIT, lambda file: arrays.save(file, named), context)


def _row_keys(fitted: Preprocessor, frame: Frame, parts: split.Parts) -> dict[str, Keys]:
    named = {"learned": parts.train, "aside": np.concatenate([parts.valid, parts.test])}
    return {
        name: row_keys.of(preprocess.blocks(fitted, frame, rows)) for name, rows in named.items()
    }


def _split_row(dataset: Dataset, frame: Frame, parts: split.Parts, file: Stored) -> Split:
    return Split(
        split_id=split.split_id(parts, frame.content_sha256, frame.labels),
        dataset_group=dataset.dataset_group,
        dataset_version=dataset.dataset_version,
        content_sha256=frame.content_sha256,
        n_train=len(parts.train),
        n_valid=len(parts.valid),
        n_test=len(parts.test),
        uri=file.uri,
        sha256=file.sha256,
        target=dataset.target,
    )
