"""Mode predict: models of a train batch, applied to the rows set aside or to another data set."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from configs.errors import BadParameter, DatasetChanged, ParentFailed, ParentNotReady, Unknown
from pipeline import fanout, frames, preprocess, workplace
from pipeline.context import Context
from pipeline.fanout import ModelRun
from pipeline.parameters import BatchParameters
from pipeline.preparation import publish_arrays, publish_matrix
from pipeline.scoring import Scored, ScoreTask, score_model
from storage import arrays, batches, datasets, results
from storage.artifacts.port import Stored
from storage.records import Batch, Dataset, Split, SplitName, TrainedModel


class Parameters(BatchParameters):
    """batch_param of a predict batch."""

    scope: Literal["test", "all"] | None = Field(
        None,
        description="test: the rows set aside in training; all: every row; default: test on the "
        "data set trained on, all on another",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The rows to score: prepared, with labels where the outcome is known."""

    split: SplitName
    matrix: Stored
    labels: Stored | None


def run(batch: Batch, parameters: Parameters, context: Context) -> str:
    """Score with every model of `train_batch_id`; what an earlier run finished is kept."""
    models = _models(batch, context)
    context.report(0.0, "reading the data set")
    subject = _subject(batch, models[0], parameters, context)
    tasks = {task.run.key: task for task in (_task(batch, m, subject, context) for m in models)}
    wanted = {key: task.fingerprint for key, task in tasks.items()}
    kept = context.commit(lambda c: results.keep_matching(c, batch.batch_id, wanted))
    return fanout.work_through(
        score_model,
        [task for key, task in tasks.items() if key not in kept],
        lambda task, scored: _commit(task, scored, context),
        verb="applied",
        splits=(subject.split,),
        planned=len(tasks),
        parameters=parameters,
        context=context,
    )


def _models(batch: Batch, context: Context) -> tuple[TrainedModel, ...]:
    """The parent's models.

    Raises:
        Unknown: there is no such train batch, or it left no model.
        ParentFailed: it ended in a final error.
        ParentNotReady: an operator set it to run again meanwhile.
    """
    number = batch.train_batch_id
    if number is None:
        raise Unknown("a predict batch needs train_batch_id")
    parent = context.read(lambda connection: batches.read(connection, number))
    if parent is None:
        raise Unknown(f"train_batch_id {number}: there is no such batch")
    if parent.mode != "train":
        raise Unknown(f"train_batch_id {number} is a {parent.mode} batch, not a train batch")
    if parent.state == "E" and parent.run_after is None:
        raise ParentFailed(
            f"train_batch_id {number} ended in {parent.error_class}: {parent.error_text}"
        )
    if parent.state != "C":
        raise ParentNotReady(f"train_batch_id {number} is not complete yet")
    models = context.read(lambda connection: results.models(connection, number))
    if not models:
        raise Unknown(f"train_batch_id {number} has no models in dc_model; run it again")
    return models


def _subject(
    batch: Batch, model: TrainedModel, parameters: Parameters, context: Context
) -> Subject:
    """Read the rows and prepare them exactly as in training; nothing is learned here."""
    split = context.read(lambda connection: results.read_split(connection, model.split_id))
    dataset = _dataset(batch, split, context)
    same = (dataset.dataset_group, dataset.dataset_version) == (
        split.dataset_group,
        split.dataset_version,
    )
    if same and dataset.content_sha256 != split.content_sha256:
        raise DatasetChanged(
            f"data set {dataset.name} was registered anew since batch {batch.train_batch_id} was "
            "trained on it; train again, or load the new rows as another version"
        )
    scope = parameters.scope or ("test" if same else "all")
    if scope == "test" and not same:
        raise BadParameter(
            f"batch_param: scope: {dataset.name} is not the data set trained on, "
            "so it has no rows set aside; allowed is: all"
        )
    frame = frames.read(context.engine, dataset, target_needed=False)
    rows = None
    if scope == "test":
        file = context.cache.fetch(context.store, split.uri, split.sha256)
        (rows,) = arrays.load(file, "rows_test")
    path = context.cache.fetch(context.store, model.preprocessor_uri, model.preprocessor_sha256)
    fitted = preprocess.from_json(path.read_text(encoding="utf-8"))
    labels = None
    if frame.y is not None:
        y = frame.y if rows is None else frame.y[rows]
        labels = publish_arrays("labels/{sha256}.safetensors", {"y": y}, context)
    matrix = publish_matrix(preprocess.apply(fitted, frame, rows), context)
    return Subject(split=scope, matrix=matrix, labels=labels)


def _dataset(batch: Batch, split: Split, context: Context) -> Dataset:
    """The data set the row names, else the one trained on."""
    group = batch.dataset_group or split.dataset_group
    version = batch.dataset_version
    if version is None:
        version = split.dataset_version
    return context.read(lambda connection: datasets.read(connection, group, version))


def _fingerprint(model: TrainedModel, subject: Subject) -> str:
    determined_by = {
        "model": model.sha256,
        "threshold": model.threshold,
        "matrix": subject.matrix.sha256,
        "labels": subject.labels and subject.labels.sha256,
        "split": subject.split,
    }
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()


def _task(batch: Batch, model: TrainedModel, subject: Subject, context: Context) -> ScoreTask:
    return ScoreTask(
        run=ModelRun(
            batch_id=batch.batch_id,
            fence=batch.fence,
            model_no=model.model_no,
            model_sub_no=model.model_sub_no,
            model_id=model.model_id,
        ),
        settings=workplace.pack(context.settings),
        model=Stored(uri=model.uri, sha256=model.sha256, bytes=model.bytes),
        threshold=model.threshold,
        matrix=subject.matrix,
        split=subject.split,
        labels=subject.labels,
        fingerprint=_fingerprint(model, subject),
    )


def _commit(task: ScoreTask, scored: Scored, context: Context) -> None:
    row = task.run.success(
        task.split,
        scored.metrics,
        scored.n_rows,
        threshold=task.threshold,
        predict_seconds=scored.predict_seconds,
        scores_uri=scored.scores.uri,
        scores_sha256=scored.scores.sha256,
        fingerprint=task.fingerprint,
    )
    context.commit(lambda connection: results.put_results(connection, [row]))
