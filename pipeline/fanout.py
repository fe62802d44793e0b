"""One task a model: leave out what an earlier run finished, run the others on the cluster, commit
each as it ends, sum up.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from configs.errors import (
    AllModelsFailed,
    ArtifactDamaged,
    ArtifactMissing,
    ClusterUnavailable,
    HostUnfit,
    ModelFailed,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from configs.wording import counted
from pipeline import placing
from pipeline.context import Context
from pipeline.model_run import ModelRun, ModelTask
from pipeline.parameters import BatchParameters
from pipeline.progress import Tally
from storage import results
from storage.records import ModelKey, SplitName

# Where the store, the cluster or a host of it failed, the batch fails, not its model.
_NOT_THE_MODELS = (
    ArtifactDamaged,
    ArtifactMissing,
    ClusterUnavailable,
    HostUnfit,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)


T = TypeVar("T", bound=ModelTask)
R = TypeVar("R")

Keep = Callable[[Connection, int, Mapping[ModelKey, str], frozenset[str]], set[ModelKey]]
"""Drops what earlier runs of a batch left, but for what has the wanted fingerprints and its files;
returns the models that need not be done again. As `keep_matching` of storage.results does.
"""


def work_through(
    function: Callable[[T], R],
    tasks: Sequence[T],
    commit: Callable[[T, R], None],
    *,
    keep: Keep,
    folder: str,
    verb: str,
    splits: Sequence[SplitName],
    parameters: BatchParameters,
    deadline: float | None,
    context: Context,
) -> str:
    """Run every task that no earlier run has finished and `commit` each value at once; return one
    line that sums up. `folder`: of run_files, where the batch's files are.

    Raises:
        ModelFailed: a model failed and the batch asks for onModelError = fail.
        AllModelsFailed: not one model succeeded, in this run or an earlier one.
    """
    wanted = {task.run.key: task.fingerprint for task in tasks}
    batch_id = context.claim.batch_id
    files = frozenset(context.store.walk(f"{folder}{batch_id}"))
    kept = context.commit(lambda connection: keep(connection, batch_id, wanted, files))
    left = [task for task in tasks if task.run.key not in kept]
    planned, before = len(tasks), len(tasks) - len(left)
    tally = Tally(total=planned, before=before, unit="model", report=context.report)
    errors: list[str] = []
    for ended in placing.run(context.executor, function, left, tag=context.tag, deadline=deadline):
        run = ended.task.run
        if ended.error is None:
            commit(ended.task, ended.result())
        else:
            errors.append(f"{run.label}: {type(ended.error).__name__}: {ended.error}")
            _commit_failure(run, ended.error, splits, context)
            if parameters.on_model_error == "fail":
                raise ModelFailed(errors[-1]) from ended.error
        tally.advance(run.label, failed=ended.error is not None)
    return _summary(verb, planned=planned, before=before, done=tally.done, errors=errors)


def _commit_failure(
    run: ModelRun, error: Exception, splits: Sequence[SplitName], context: Context
) -> None:
    if isinstance(error, _NOT_THE_MODELS):
        raise error
    rows = [run.failure(split, error) for split in splits]
    context.commit(lambda connection: results.put_failure(connection, rows))


def _summary(verb: str, *, planned: int, before: int, done: int, errors: Sequence[str]) -> str:
    good = before + done - len(errors)
    late = planned - before - done
    parts = [f"{good:,} of {counted(planned, 'model')} {verb}"]
    if before:
        parts.append(f"{before} of them in an earlier run")
    if errors:
        parts.append(f"{len(errors)} failed, the first: {errors[0]}")
    if late:
        parts.append(f"{late} not {verb} within timeLimit")
    line = "; ".join(parts)
    if not good:
        raise AllModelsFailed(line)
    return line
