"""Each member of an ensemble scores the rows of a predict batch, and is committed by itself."""

from collections.abc import Sequence
from contextlib import suppress

from configs.errors import ArtifactDamaged, ArtifactMissing
from models.kind import Scores
from pipeline import fingerprints, placing, run_files, subjects, workplace
from pipeline.context import Context
from pipeline.ensembles.part_scoring import PartTask, score_parts, task_of
from pipeline.progress import Tally
from pipeline.subjects import Subject
from storage import arrays, member_scores
from storage.artifacts.port import Stored
from storage.member_scores import MemberScores
from storage.records import ModelName, TrainedModel, written


def score_members(
    models: Sequence[TrainedModel], subject: Subject, deadline: float | None, context: Context
) -> dict[ModelName, Scores]:
    """Scores by model; what an earlier run of the batch finished is not done again.

    At the deadline what is not done yet is left out.
    """
    matrices: dict[str, Stored] = {}
    for model in models:
        if model.preprocessor_sha256 not in matrices:
            published = subjects.share_rows(subject, model, context)
            matrices[model.preprocessor_sha256] = published
    wanted = {
        model.name: _fingerprint(model, matrices[model.preprocessor_sha256]) for model in models
    }
    scope = subject.selection.scope
    scores = _kept(wanted, scope, context)
    tasks = [
        task_of(
            model,
            matrices[model.preprocessor_sha256],
            ((scope, subject.n_rows),),
            settings=workplace.pack(context.settings),
            uri=_uri(model, context),
        )
        for model in models
        if model.name not in scores
    ]
    tally = Tally(total=len(models), before=len(scores), unit="model", report=context.report)
    for ended in placing.run(
        context.executor, score_parts, tasks, tag=context.tag, deadline=deadline
    ):
        name = ended.task.name
        finished = _finished(ended.task, ended.result(), wanted[name], context)
        scores[name] = _load(finished, scope, context)
        tally.advance(written(name))
    return scores


def _kept(wanted: dict[ModelName, str], scope: str, context: Context) -> dict[ModelName, Scores]:
    batch_id = context.claim.batch_id
    kept = context.commit(
        lambda connection: member_scores.keep_matching(connection, batch_id, wanted)
    )
    loaded = {}
    for each in kept:
        with suppress(ArtifactMissing, ArtifactDamaged):
            loaded[each.name] = _load(each, scope, context)
    return loaded


def _finished(task: PartTask, file: Stored, fingerprint: str, context: Context) -> MemberScores:
    batch_id, model_no, model_sub_no = task.name
    scores = MemberScores(
        model_batch_id=batch_id,
        model_no=model_no,
        model_sub_no=model_sub_no,
        fence=context.claim.fence,
        fingerprint=fingerprint,
        uri=file.uri,
        sha256=file.sha256,
        bytes=file.bytes,
    )
    ours = context.claim.batch_id
    context.commit(lambda connection: member_scores.put(connection, ours, scores))
    return scores


def _load(scores: MemberScores, scope: str, context: Context) -> Scores:
    (loaded,) = arrays.load(context.cache.fetch(context.store, scores.uri, scores.sha256), scope)
    return loaded


def _uri(model: TrainedModel, context: Context) -> str:
    stem = run_files.of_member(context.claim.batch_id, model.name)
    return run_files.of_run(stem, context.claim.fence, "scores.safetensors")


def _fingerprint(model: TrainedModel, matrix: Stored) -> str:
    return fingerprints.of_text(f"{model.sha256} {matrix.sha256}")
