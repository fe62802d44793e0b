"""The rows that models are applied to: read once, prepared exactly as in training."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from configs.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    BadData,
    BadParameter,
    DatasetChanged,
    NotFound,
)
from pipeline import frames, preprocess, row_keys, run_files
from pipeline.context import Context
from pipeline.frames import Frame
from pipeline.preparation import share, share_matrix
from pipeline.rules import Preprocessor, from_json
from storage import arrays, batches, datasets
from storage.artifacts.port import Stored
from storage.records import Batch, Dataset, Split, TrainedModel

Scope = Literal["test", "all"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows are wanted: of which data set, and whether only those set aside in training."""

    dataset: Dataset
    split: Split
    scope: Scope

    @property
    def noted(self) -> dict[str, str | None]:
        """Which rows these are, as dc_batch_result keeps it."""
        return {
            "content_sha256": self.dataset.content_sha256,
            "split_id": self.split.split_id if self.scope == "test" else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The rows to score, in memory. `rows` None: all of the frame."""

    selection: Selection
    frame: Frame
    rows: NDArray[np.int64] | None

    @property
    def n_rows(self) -> int:
        return self.frame.n_rows if self.rows is None else len(self.rows)

    @property
    def y(self) -> NDArray[np.int8] | None:
        """Labels where the outcome is known."""
        if self.frame.y is None or self.rows is None:
            return self.frame.y
        return self.frame.y[self.rows]


def select(
    batch: Batch, model: TrainedModel, split: Split, scope: Scope | None, context: Context
) -> Selection:
    """What the batch's row and its parameter `scope` ask for; `model` is one of those to apply.

    Raises:
        DatasetChanged: the data set was registered anew since models were trained on it.
        BadData: it has the rows trained on, but another target.
        BadParameter: rows were set aside in another data set than this.
    """
    dataset = _dataset_of(batch, model, split, context)
    # The same rows under another name are still those that models learned.
    same = dataset.content_sha256 == split.content_sha256
    if not same and dataset.name == split.dataset:
        raise DatasetChanged(
            f"data set {dataset.name} was registered anew since batch {batch.train_batch_id} was "
            "trained on it; train again, or load the new rows as another version"
        )
    if same:
        require_target(dataset, split)
    chosen: Scope = scope or ("test" if same else "all")
    if chosen == "test" and not same:
        raise BadParameter(
            f"batch_param: scope: {dataset.name} is not the data set trained on, "
            "so it has no rows set aside; allowed is: all"
        )
    return Selection(dataset=dataset, split=split, scope=chosen)


def require_target(dataset: Dataset, split: Split) -> None:
    """Raise BadData where rows have other labels than those that models learned from them."""
    if None not in (dataset.target, split.target) and dataset.target != split.target:
        raise BadData(
            f"data set {dataset.name} has the target {dataset.target}, but the models were trained "
            f"on the same rows with {split.target} ({split.dataset})"
        )


def read(selection: Selection, context: Context) -> Subject:
    """Read the rows; the data set need not have a target column.

    Raises:
        BadData: its 0 is what was 1 in training, so that every metric would be of the contrary.
    """
    dataset, split = selection.dataset, selection.split
    frame = context.read(lambda connection: frames.read_from(connection, dataset))
    if any(split.target == f"{dataset.target_column} = {word}" for word in frame.zeros):
        raise BadData(
            f"data set {dataset.name} has the target {dataset.target}, but the models were trained "
            f"with {split.target} ({split.dataset}); load it with --positive as that one"
        )
    context.report(0.0, f"preparing {frame.n_rows:,} rows")
    rows = None
    if selection.scope == "test":
        file = context.cache.fetch(context.store, selection.split.uri, selection.split.sha256)
        (rows,) = arrays.load(file, "rows_test")
    return Subject(selection=selection, frame=frame, rows=rows)


def share_rows(subject: Subject, model: TrainedModel, context: Context) -> Stored:
    """The rows as a matrix, prepared as the model's training part was; nothing is learned."""
    return share_matrix(preprocessor_of(model, context), subject.frame, subject.rows, context)


def doubts(subject: Subject, model: TrainedModel, context: Context) -> tuple[str, ...]:
    """What speaks against scores of rows that were not set aside: values that the model's
    preparation does not know, and rows that the model learned from.
    """
    if subject.rows is not None:
        return ()
    preprocessor = preprocessor_of(model, context)
    unknown = preprocess.doubts(preprocessor, subject.frame)
    gaps = preprocess.gaps(preprocessor, subject.frame)
    learned = _learned(subject, model, preprocessor, context)
    for event, remarks in (
        ("rows learned from", learned),
        ("unknown categories", unknown),
        ("missing values", gaps),
    ):
        for doubt in remarks:
            log.warning(event, batch_id=context.claim.batch_id, note=doubt)
    return learned + unknown + gaps  # a note has room for 255 characters: the gravest first


def _learned(
    subject: Subject, model: TrainedModel, preprocessor: Preprocessor, context: Context
) -> tuple[str, ...]:
    """Says nothing where nothing is measured, or the model is older than keys of rows are."""
    if subject.y is None or model.row_keys_uri is None or model.row_keys_sha256 is None:
        return ()
    try:
        file = context.cache.fetch(context.store, model.row_keys_uri, model.row_keys_sha256)
    except (ArtifactMissing, ArtifactDamaged):  # nothing else needs it
        return ()
    keys = row_keys.of(preprocess.blocks(preprocessor, subject.frame))
    return row_keys.doubts(keys, *arrays.load(file, "learned", "aside"))


def preprocessor_of(model: TrainedModel, context: Context) -> Preprocessor:
    """What was learned from the model's training part."""
    path = context.cache.fetch(context.store, model.preprocessor_uri, model.preprocessor_sha256)
    return from_json(path.read_text(encoding="utf-8"))


def share_labels(subject: Subject, context: Context) -> Stored | None:
    """The labels as array `y` of a file; None where nothing is known of the outcome."""
    y = subject.y
    if y is None:
        return None
    return share(run_files.LABELS, lambda file: arrays.save(file, {"y": y}), context)


def _dataset_of(batch: Batch, model: TrainedModel, split: Split, context: Context) -> Dataset:
    """The one that the row names; what it leaves out is as in training."""
    group, version = batch.dataset_group, batch.dataset_version
    if not group or version is None:
        trained = trained_on(model, split, context)
        group = group or trained.dataset_group
        version = trained.dataset_version if version is None else version
    return _read(group, version, context)


def trained_on(model: TrainedModel, split: Split, context: Context) -> Dataset:
    """The data set that a model's batch names. Its rows may have been seen before, under the name
    in `split`, with columns of other roles or other values that mean missing; that one serves where
    the batch or its data set has gone, or has other rows by now.
    """
    batch = context.read(lambda connection: batches.read(connection, model.batch_id))
    if batch and batch.dataset_group and batch.dataset_version is not None:
        with suppress(NotFound):
            dataset = _read(batch.dataset_group, batch.dataset_version, context)
            if dataset.content_sha256 == split.content_sha256:
                return dataset
    return _read(split.dataset_group, split.dataset_version, context)


def _read(group: str, version: int, context: Context) -> Dataset:
    return context.read(lambda connection: datasets.read(connection, group, version))
