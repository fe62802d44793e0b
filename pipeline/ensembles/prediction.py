"""Predict with an ensemble batch: the scores of its members, combined by the method it chose.

Rows that were set aside in training have stored scores, so that no model is loaded. For other rows
each member scores once, and each is committed by itself. What comes of it is one file of scores
(arrays by row: the split's name, `called`, `mean`, and `ones` where rounds or models were counted)
and one row of dc_batch_result, with model_no 0 and model_id ENSEMBLE.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from configs.errors import BadParameter, NotFound
from configs.wording import counted
from models.bands import bands
from models.kind import Labels, Scores
from models.scores import decide
from pipeline import fingerprints, run_files, subjects
from pipeline.context import Context
from pipeline.ensembles.candidates import Candidates
from pipeline.ensembles.combining import Ballot, Combination, Outcome, Rounds, from_json
from pipeline.ensembles.scoring_members import score_members
from pipeline.ensembles.stored_scores import assemble
from pipeline.model_run import ModelRun
from pipeline.subjects import Scope, Selection
from storage import arrays, candidates, ensembles, results
from storage.artifacts.port import Stored
from storage.ensembles import Member, Method
from storage.records import Batch, ModelName, Split, TrainedModel, written

MODEL_ID = "ENSEMBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an ensemble batch chose."""

    method: Method
    combination: Combination
    models: tuple[TrainedModel, ...]


def run(
    batch: Batch,
    parent: Batch,
    scope: Scope | None,
    deadline: float | None,
    context: Context,
) -> str:
    """Score rows with the method that an ensemble batch chose; return one line that sums up."""
    started = time.perf_counter()
    answer = _answer(parent, context)
    model = answer.models[0]
    split = context.read(lambda connection: results.read_split(connection, model.split_id))
    selection = subjects.select(batch, model, split, scope, context)
    if selection.scope == "all" and (not batch.dataset_group or batch.dataset_version is None):
        _require_one_preparation(answer.models, split, context)
    scores, y, doubts = _scores(answer, selection, deadline, context)
    ballot = _ballot(answer.models, scores)
    outcome = answer.combination.apply(ballot)
    mean = _mean(answer.combination, scores)
    file = _store(batch, selection, outcome, mean, context)
    metrics = None if y is None else outcome.measure(y)
    row = ModelRun(
        batch_id=batch.batch_id, fence=batch.fence, model_no=0, model_sub_no=0, model_id=MODEL_ID
    ).success(
        selection.scope,
        metrics,
        bands(mean, y),
        threshold=answer.combination.threshold,
        predict_seconds=time.perf_counter() - started,
        scores_uri=file.uri,
        scores_sha256=file.sha256,
        fingerprint=_fingerprint(answer, selection),
        **selection.noted,
    )

    def publish(connection: Connection) -> None:
        results.keep_matching(connection, batch.batch_id, {}, frozenset())
        results.put_results(connection, [row])

    context.commit(publish)
    called = int(np.count_nonzero(outcome.called))
    summary = (
        f"{counted(len(outcome.called), 'row')} scored by {answer.method.method} of ensemble batch "
        f"{parent.batch_id} ({counted(len(answer.models), 'model')}); {called:,} called 1"
    )
    return "; ".join([summary, *doubts])


def _answer(parent: Batch, context: Context) -> Answer:
    """The method that the batch chose, with its models as they were then.

    Raises:
        NotFound: the batch left no report, or a model of it has gone or was trained again.
    """
    number = parent.batch_id
    methods = context.read(lambda connection: ensembles.methods(connection, number))
    chosen = [each for each in methods if each.chosen and each.split == "valid"]
    if not chosen or chosen[0].parameters is None:
        raise NotFound(
            f"train_batch_id {number} has no chosen method in dc_batch_method; re-run it"
        )
    combination = from_json(chosen[0].parameters)
    members = context.read(lambda connection: ensembles.members(connection, number))
    named = {member.name: member for member in members}
    models = context.read(lambda connection: candidates.trained(connection, combination.names))
    for name in combination.names:
        _require_same(number, name, named.get(name), models.get(name))
    return Answer(
        method=chosen[0],
        combination=combination,
        models=tuple(models[name] for name in combination.names),
    )


def _require_same(
    number: int, name: ModelName, member: Member | None, model: TrainedModel | None
) -> None:
    if model is None or member is None:
        raise NotFound(f"{written(name)} votes in ensemble batch {number}, but is not in dc_model")
    if (model.sha256, model.threshold) != (member.sha256, member.threshold):
        raise NotFound(
            f"{written(name)} was trained again since ensemble batch {number} chose it; run batch "
            f"{number} again"
        )


def _require_one_preparation(
    models: Sequence[TrainedModel], split: Split, context: Context
) -> None:
    """Raise BadParameter: the members' own data sets, of the same rows, tell otherwise of them."""
    one_each = {model.batch_id: model for model in models}.values()
    sources = [subjects.trained_on(model, split, context) for model in one_each]
    if any(dataset.columns != sources[0].columns for dataset in sources):
        names = ", ".join(sorted({dataset.name for dataset in sources}))
        raise BadParameter(
            f"the members were trained on the same rows as {names}, whose columns have other roles "
            "or values that mean missing; name the data set to score"
        )


def _scores(
    answer: Answer, selection: Selection, deadline: float | None, context: Context
) -> tuple[dict[ModelName, Scores], Labels | None, tuple[str, ...]]:
    """Scores of each model on the rows, labels where they are known, and doubts of rows."""
    if selection.scope == "test":
        board = assemble(Candidates(models=answer.models, split=selection.split), context)
        return dict(zip(board.names, board.test.scores, strict=True)), board.test.y, ()
    context.report(0.0, f"reading {selection.dataset.name}")
    subject = subjects.read(selection, context)
    scores = score_members(answer.models, subject, deadline, context)
    if len(scores) < len(answer.models):
        raise BadParameter(
            f"batch_param: timeLimit: {len(scores)} of {counted(len(answer.models), 'model')} had "
            "scored by then, and an ensemble needs them all; what is done is kept for a re-run "
            "with more"
        )
    return scores, subject.y, subjects.doubts(subject, answer.models[0], context)


def _ballot(models: Sequence[TrainedModel], scores: Mapping[ModelName, Scores]) -> Ballot:
    votes = {m.name: decide(scores[m.name], m.threshold) for m in models}
    return Ballot(scores=scores, votes=votes)


def _mean(combination: Combination, scores: Mapping[ModelName, Scores]) -> Scores:
    """The mean probability of the members, who count as often as they vote."""
    times: Mapping[ModelName, int] = Counter(combination.names)
    if isinstance(combination, Rounds):
        times = Counter(name for members in combination.rounds for name in members)
    total = np.zeros(len(scores[combination.names[0]]))
    for name, count in sorted(times.items()):
        total += count * scores[name].astype(np.float64)
    return (total / sum(times.values())).astype(np.float32)


def _store(
    batch: Batch, selection: Selection, outcome: Outcome, mean: Scores, context: Context
) -> Stored:
    named: dict[str, NDArray[Any]] = {
        selection.scope: outcome.score,
        "called": outcome.called.astype(np.uint8),
        "mean": mean,
    }
    if outcome.ones is not None:
        named["ones"] = outcome.ones
    with context.cache.folder() as folder:
        file = folder / "scores"
        arrays.save(file, named)
        stem = run_files.of_model(run_files.PREDICTIONS, (batch.batch_id, 0, 0))
        uri = run_files.of_run(stem, batch.fence, "scores.safetensors")
        return context.store.put(run_files.of_one_execution(uri), file)


def _fingerprint(answer: Answer, selection: Selection) -> str:
    return fingerprints.of(
        parameters=answer.method.parameters,
        models=[model.sha256 for model in answer.models],
        rows=selection.dataset.content_sha256,
        scope=selection.scope,
    )
