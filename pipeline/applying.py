"""Models of a train batch, or an ensemble of them, applied to rows: choose and prepare these,
score them with each model, measure where the outcome is known, commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from configs.errors import NotFound, ParentFailed, ParentNotReady
from models import demand
from pipeline import fanout, fingerprints, placing, run_files, shift, subjects, workplace
from pipeline.context import Context
from pipeline.ensembles import prediction
from pipeline.model_run import ModelRun
from pipeline.parameters import BatchParameters
from pipeline.scoring import Scored, ScoreTask, score_model
from pipeline.subjects import Scope, Selection
from storage import batches, results
from storage.artifacts.port import Stored
from storage.records import Batch, ModelKey, TrainedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows to score, prepared, with labels where the outcome is known; `expected` says how they
    would fall into bands, were they as those of test.
    """

    selection: Selection
    matrix: Stored
    labels: Stored | None
    expected: shift.Expected
    doubts: tuple[str, ...]


def apply(batch: Batch, scope: Scope | None, parameters: BatchParameters, context: Context) -> str:
    """Score with every model of `train_batch_id`, or with the ensemble that it found; what an
    earlier run finished is kept. Return one line that sums up.
    """
    deadline = parameters.deadline()
    parent = context.read(lambda connection: parent_of(connection, batch))
    if parent.mode == "ensemble":
        return prediction.run(batch, parent, scope, deadline, context)
    models = _models(parent, context)
    context.report(0.0, "reading the data set")
    rows = _prepare(batch, models[0], scope, context)

    def keep(
        connection: Connection, batch_id: int, wanted: Mapping[ModelKey, str], files: frozenset[str]
    ) -> set[ModelKey]:
        kept = results.keep_matching(connection, batch_id, wanted, files)
        shift.renew(connection, batch_id, kept, rows.selection, rows.expected)
        return kept

    summary = fanout.work_through(
        score_model,
        [_task(batch, model, rows, context) for model in models],
        lambda task, scored: _commit(task, scored, rows, context),
        keep=keep,
        folder=run_files.PREDICTIONS,
        verb="applied",
        splits=(rows.selection.scope,),
        parameters=parameters,
        deadline=deadline,
        context=context,
    )
    return "; ".join([summary, *shift.doubts(rows.selection, context), *rows.doubts])


def parent_of(connection: Connection, batch: Batch) -> Batch:
    """The batch whose models are applied.

    Raises:
        NotFound: there is no such train or ensemble batch.
        ParentFailed: it ended in a final error.
        ParentNotReady: an operator set it to run again meanwhile.
    """
    number = batch.train_batch_id
    if number is None:
        raise NotFound(f"a {batch.mode} batch needs train_batch_id")
    parent = batches.read(connection, number)
    if parent is None:
        raise NotFound(f"train_batch_id {number}: there is no such batch")
    if parent.mode not in ("train", "ensemble"):
        raise NotFound(
            f"train_batch_id {number} is a {parent.mode} batch, not a train or ensemble batch"
        )
    if not parent.ended:
        raise ParentNotReady(f"train_batch_id {number} is not complete yet")
    if parent.state == "E":
        raise ParentFailed(
            f"train_batch_id {number} ended in {parent.error_class} and must run again first: "
            f"{parent.error_text}"
        )
    return parent


def _models(parent: Batch, context: Context) -> tuple[TrainedModel, ...]:
    """The models of a train batch.

    Raises:
        NotFound: it left none.
    """
    number = parent.batch_id
    models = context.read(lambda connection: results.models(connection, number))
    if not models:
        raise NotFound(f"train_batch_id {number} has no models in dc_model; run it again")
    return models


def _prepare(batch: Batch, model: TrainedModel, scope: Scope | None, context: Context) -> Rows:
    split = context.read(lambda connection: results.read_split(connection, model.split_id))
    selection = subjects.select(batch, model, split, scope, context)
    subject = subjects.read(selection, context)
    return Rows(
        selection=selection,
        matrix=subjects.share_rows(subject, model, context),
        labels=subjects.share_labels(subject, context),
        expected=shift.expected(model.batch_id, selection, context),
        doubts=subjects.doubts(subject, model, context),
    )


def _fingerprint(model: TrainedModel, rows: Rows) -> str:
    return fingerprints.of(
        model=model.sha256,
        threshold=model.threshold,
        matrix=rows.matrix.sha256,
        labels=rows.labels and rows.labels.sha256,
        split=rows.selection.scope,
        rows=rows.selection.dataset.content_sha256,
    )


def _task(batch: Batch, model: TrainedModel, rows: Rows, context: Context) -> ScoreTask:
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
        matrix=rows.matrix,
        split=rows.selection.scope,
        labels=rows.labels,
        fingerprint=_fingerprint(model, rows),
        need=placing.need_of(
            demand.of_scoring(
                device=model.device,
                matrix_bytes=rows.matrix.bytes,
                model_bytes=model.bytes,
            )
        ),
    )


def _commit(task: ScoreTask, scored: Scored, rows: Rows, context: Context) -> None:
    row = task.run.success(
        task.split,
        scored.metrics,
        scored.bands,
        psi=shift.psi(rows.expected.get(task.run.key), scored.bands),
        threshold=task.threshold,
        predict_seconds=scored.predict_seconds,
        scores_uri=scored.scores.uri,
        scores_sha256=scored.scores.sha256,
        fingerprint=task.fingerprint,
        note=task.note,
        **rows.selection.noted,
    )
    context.commit(lambda connection: results.put_results(connection, [row]))
