"""Scores that were lost, computed again: each model is loaded once and its file written anew."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from configs.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    BadData,
    DatasetChanged,
    ParentNotReady,
)
from configs.wording import counted
from pipeline import frames, placing, run_files, workplace
from pipeline.context import Context
from pipeline.ensembles.part_scoring import PartTask, score_parts, task_of
from pipeline.frames import Frame
from pipeline.preparation import share_matrix
from pipeline.progress import Tally
from pipeline.subjects import preprocessor_of, trained_on
from storage import arrays, results
from storage.artifacts.port import Stored
from storage.records import Dataset, ModelName, Split, TrainedModel, written


def restore(
    lost: Sequence[tuple[TrainedModel, Exception]], split: Split, context: Context
) -> list[TrainedModel]:
    """The models with the files of their new scores, which are in dc_model by then.

    `lost` says of each model why its scores could not be read.

    Raises:
        ArtifactMissing, ArtifactDamaged: a model's own file is of no use either.
        BadData: the data set has gone or has changed.
        ParentNotReady: a model was trained again meanwhile.
    """
    reasons = {model.name: reason for model, reason in lost}
    context.report(0.0, f"computing lost scores of {counted(len(lost), 'model')}")
    models = {model.name: model for model, _ in lost}
    matrices = _matrices(models.values(), split, context)
    tasks = [_task(model, matrices[name], split, context) for name, model in models.items()]
    tally = Tally(total=len(tasks), before=0, unit="lost score", report=context.report)
    restored = []
    for ended in placing.run(context.executor, score_parts, tasks, tag=context.tag):
        model = models[ended.task.name]
        if ended.error is not None:
            raise _explained(model, reasons[ended.task.name], ended.error) from ended.error
        restored.append(_commit(model, ended.result(), context))
        tally.advance(written(ended.task.name))
    return restored


def _matrices(
    models: Iterable[TrainedModel], split: Split, context: Context
) -> dict[ModelName, Stored]:
    """For each model the rows of valid, then test, prepared as for its training."""
    file = context.cache.fetch(context.store, split.uri, split.sha256)
    rows = np.concatenate(arrays.load(file, "rows_valid", "rows_test"))
    of_dataset = defaultdict(list)
    for model in models:
        of_dataset[trained_on(model, split, context)].append(model)
    matrices = {}
    for dataset, its in of_dataset.items():
        frame = _frame(dataset, split, context)
        published: dict[str, Stored] = {}  # by the preprocessor
        for model in its:
            sha256 = model.preprocessor_sha256
            if sha256 not in published:
                fitted = preprocessor_of(model, context)
                published[sha256] = share_matrix(fitted, frame, rows, context)
            matrices[model.name] = published[sha256]
    return matrices


def _frame(dataset: Dataset, split: Split, context: Context) -> Frame:
    if dataset.content_sha256 != split.content_sha256:
        raise DatasetChanged(
            f"scores were lost and data set {dataset.name} was registered anew since the models "
            "were trained on it; train them again"
        )
    return context.read(lambda connection: frames.read_from(connection, dataset))


def _task(model: TrainedModel, matrix: Stored, split: Split, context: Context) -> PartTask:
    stem = run_files.of_model(run_files.MODELS, model.name)
    return task_of(
        model,
        matrix,
        (("valid", split.n_valid), ("test", split.n_test)),
        settings=workplace.pack(context.settings),
        uri=run_files.of_run(
            run_files.on_behalf(stem, context.claim.batch_id),
            context.claim.fence,
            "scores.safetensors",
        ),
    )


def _explained(model: TrainedModel, lost: Exception, error: Exception) -> Exception:
    """A model whose scores and file are both gone can only be trained again."""
    if not isinstance(error, ArtifactMissing | ArtifactDamaged | BadData):
        return error
    return type(error)(
        f"{written(model.name)}: its scores cannot be read ({lost}) nor computed again "
        f"({error}); train batch {model.batch_id} again or take the model off the list"
    )


def _commit(model: TrainedModel, scores: Stored, context: Context) -> TrainedModel:
    fresh = replace(model, scores_uri=scores.uri, scores_sha256=scores.sha256)
    if not context.commit(lambda connection: results.put_scores(connection, fresh)):
        raise ParentNotReady(f"{written(model.name)} was trained again meanwhile")
    return fresh
