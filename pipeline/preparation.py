"""A data set on its way to the workers: read, split, prepare, put where workers find it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import frames, preprocess, row_keys, run_files, split
from pipeline.context import Context
from pipeline.frames import Frame
from pipeline.parameters import BatchParameters
from pipeline.rules import Preprocessor, to_json
from storage import arrays
from storage.artifacts.port import Stored
from storage.records import Dataset, Split

_PERCENT = 100


class SplitParameters(BatchParameters):
    """The keys of batch_param that say which rows train, choose and judge."""

    test_size: float = Field(
        0.3, gt=0, description="share of all rows below 1, or a count of rows from 1"
    )
    validation_size: float = Field(
        0.2, gt=0, description="share of the rows left below 1, or a count of rows from 1"
    )
    split_by: Literal["random", "time", "group"] = Field(
        "random", description="random, time (newest rows test) or group (no group in two parts)"
    )
    stratify: bool = Field(True, description="random parts keep the share of positives")

    def doubts(self, n_rows: int) -> tuple[str, ...]:
        """Sizes that are counts, but so small that a person may have meant a percentage."""
        sizes = (("testSize", self.test_size), ("validationSize", self.validation_size))
        return tuple(
            f"{key} {size:g}: {size:g} of {n_rows} rows"
            + (f", not {size:g} %" if size <= _PERCENT else "")
            for key, size in sizes
            if 1 <= size == int(size) and (size < _PERCENT or size * _PERCENT < n_rows)
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
    return Prepared(
        dataset=dataset,
        split=_split_row(dataset, frame, parts, split_file),
        split_file=split_file,
        matrix=publish_matrix(fitted, frame, rows, context),
        preprocessor=_publish_preprocessor(fitted, context),
        row_keys=_publish_row_keys(fitted, frame, parts, context),
        columns=preprocess.shape(fitted, frame)[1],
    )


def publish_matrix(
    fitted: Preprocessor,
    frame: Frame,
    rows: NDArray[np.int64] | None,
    context: Context,
) -> Stored:
    """Put the matrix of `rows` (None: all) into the local cache, and into the store if workers may
    not share that cache. It is written block by block: it is never in memory as a whole.
    """
    with context.cache.folder() as folder:
        file = folder / "matrix.npy"
        shape = preprocess.shape(fitted, frame, rows)
        arrays.save_matrix(file, shape, preprocess.blocks(fitted, frame, rows))
        sha256, cached = context.cache.adopt(file)
    return _shared(run_files.MATRIX.format(sha256=sha256), sha256, cached, context)


def publish_arrays(uri: str, named: Mapping[str, NDArray[Any]], context: Context) -> Stored:
    """Put named arrays into the store and the local cache. `{sha256}` in `uri` becomes the hash."""
    sha256, cached = _adopt(named, context)
    return context.store.put(uri.format(sha256=sha256), cached)


def share_arrays(uri: str, named: Mapping[str, NDArray[Any]], context: Context) -> Stored:
    """The same for arrays that nobody needs after the batch: as with a matrix, they go into the
    store only if workers may not share the cache.
    """
    sha256, cached = _adopt(named, context)
    return _shared(uri.format(sha256=sha256), sha256, cached, context)


def _shared(uri: str, sha256: str, cached: Path, context: Context) -> Stored:
    """Where workers share the cache its file is the only one: it must outlast the batch there."""
    if context.executor.remote:
        return context.store.put(uri, cached)
    context.cache.hold(cached)
    return Stored(uri=uri, sha256=sha256, bytes=cached.stat().st_size)


def _adopt(named: Mapping[str, NDArray[Any]], context: Context) -> tuple[str, Path]:
    with context.cache.folder() as folder:
        file = folder / "arrays.safetensors"
        arrays.save(file, named)
        return context.cache.adopt(file)


def _publish_split(frame: Frame, parts: split.Parts, context: Context) -> Stored:
    named = {"train": parts.train, "valid": parts.valid, "test": parts.test}
    return publish_arrays(
        run_files.SPLIT,
        {f"rows_{name}": rows for name, rows in named.items()}
        | {f"y_{name}": frame.labels[rows] for name, rows in named.items()},
        context,
    )


def _publish_row_keys(
    fitted: Preprocessor, frame: Frame, parts: split.Parts, context: Context
) -> Stored:
    """Beside the split, not in it: one split may be prepared in several ways."""
    named = {"learned": parts.train, "aside": np.concatenate([parts.valid, parts.test])}
    keys = {
        name: row_keys.of(preprocess.blocks(fitted, frame, rows)) for name, rows in named.items()
    }
    return publish_arrays(run_files.ROW_KEYS, keys, context)


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


def _publish_preprocessor(fitted: Preprocessor, context: Context) -> Stored:
    with context.cache.folder() as folder:
        file = folder / "preprocessor.json"
        file.write_text(to_json(fitted), encoding="utf-8")
        sha256, cached = context.cache.adopt(file)
    return context.store.put(run_files.PREPROCESSOR.format(sha256=sha256), cached)
