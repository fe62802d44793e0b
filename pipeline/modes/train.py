"""Mode train: every variant of a model group, fitted on one split, each committed by itself."""

import json
from dataclasses import asdict
from typing import Any

import structlog
from pydantic import Field, field_validator
from sqlalchemy import Connection

from configs.errors import BadParameter, NotFound
from models import demand, thresholds, variants
from models.variants import Variant
from models.versions import provenance, versions
from pipeline import fanout, fingerprints, placing, run_files, workplace
from pipeline.context import Context
from pipeline.executor import Need
from pipeline.fitting import FitTask, Fitted, fit_variant
from pipeline.model_run import ModelRun
from pipeline.preparation import Prepared, SplitParameters, prepare
from storage import datasets, model_list, results
from storage.records import Batch, Dataset, ModelEntry, TrainedModel

log = structlog.get_logger(__name__)

IGNORED = ("candidate_id",)
SCORES_ROWS = True


class Parameters(SplitParameters):
    """batch_param of a train batch."""

    threshold: float | dict[str, Any] = Field(
        0.5,
        description='a number from 0 to 1, {"metric": name} or {"costFn": x, "costFp": y}, '
        "chosen on valid",
    )
    models: tuple[int, ...] | None = Field(
        None, min_length=1, description="a list of model_no; default: the whole model group"
    )

    @field_validator("threshold", mode="before")
    @classmethod
    def _name_metrics(cls, value: Any) -> Any:
        """A metric by its name alone is an error that says how to write it."""
        if isinstance(value, str):
            thresholds.parse(value)
        return value

    def determining(self) -> dict[str, Any]:
        """The keys, defaults included, on which a model's numbers depend: batch_param may be
        another one later.
        """
        return self.model_dump(by_alias=True, exclude={"models", "time_limit", "on_model_error"})


def check(connection: Connection, batch: Batch, parameters: Parameters) -> tuple[str, ...]:
    """Raise what a run would end with before it reads the data; return doubts of its sizes."""
    thresholds.parse(parameters.threshold)
    _planned(connection, batch, parameters)
    return parameters.doubts(_dataset(connection, batch).n_rows)


def run(batch: Batch, parameters: Parameters, context: Context) -> str:
    """Train what is not yet trained; a batch that was cut off goes on where it stopped."""
    deadline = parameters.deadline()
    spec = thresholds.parse(parameters.threshold)
    planned = context.read(lambda connection: _planned(connection, batch, parameters))
    dataset = context.read(lambda connection: _dataset(connection, batch))
    prepared = prepare(dataset, parameters, context)
    context.commit(lambda connection: results.put_split(connection, prepared.split))
    summary = fanout.work_through(
        fit_variant,
        [_task(batch, *each, parameters, spec, prepared, context) for each in planned],
        lambda task, fitted: _commit(task, fitted, parameters, prepared, context),
        keep=results.keep_trained,
        folder=run_files.MODELS,
        verb="trained",
        splits=("valid", "test"),
        parameters=parameters,
        deadline=deadline,
        context=context,
    )
    for event, doubts in (("doubtful split", prepared.doubts), ("unused", prepared.unused)):
        for doubt in doubts:
            log.warning(event, batch_id=batch.batch_id, note=doubt)
    doubts = parameters.doubts(dataset.n_rows) + prepared.doubts + prepared.unused
    return "; ".join([summary, *doubts])


def _dataset(connection: Connection, batch: Batch) -> Dataset:
    group, version = batch.dataset_group, batch.dataset_version
    if group is None or version is None:
        raise NotFound("a train batch needs dataset_group and dataset_version")
    return datasets.read(connection, group, version)


def _planned(
    connection: Connection, batch: Batch, parameters: Parameters
) -> list[tuple[ModelEntry, Variant]]:
    """What to train: variants, each with its row of dc_model_list; every parameter checked."""
    group = batch.model_group
    listed = model_list.group(connection, group)
    if parameters.models is not None:
        absent = set(parameters.models) - {entry.model_no for entry in listed}
        if absent:
            there = ", ".join(str(entry.model_no) for entry in listed)
            raise BadParameter(
                f"batch_param: models: model_no {min(absent)} is not in use in group {group!r}; "
                f"there are: {there}"
            )
        listed = [entry for entry in listed if entry.model_no in parameters.models]
    return [
        (entry, variant)
        for entry in listed
        for variant in variants.expand(entry.model_param, entry.model_id, model_no=entry.model_no)
    ]


def _task(
    batch: Batch,
    entry: ModelEntry,
    variant: Variant,
    parameters: Parameters,
    spec: thresholds.Spec,
    prepared: Prepared,
    context: Context,
) -> FitTask:
    return FitTask(
        run=ModelRun(
            batch_id=batch.batch_id,
            fence=batch.fence,
            model_no=entry.model_no,
            model_sub_no=variant.model_sub_no,
            model_id=entry.model_id,
        ),
        settings=workplace.pack(context.settings),
        variant=variant,
        threshold=spec,
        seed=parameters.random_state,
        matrix=prepared.matrix,
        split=prepared.split_file,
        fingerprint=_fingerprint(entry.model_id, variant, parameters, spec, prepared),
        need=_need(entry.model_id, variant, prepared),
    )


def _need(model_id: str, variant: Variant, prepared: Prepared) -> Need:
    parts = prepared.split
    taken = demand.of_fit(
        model_id,
        variant,
        rows=parts.n_train,
        all_rows=parts.n_train + parts.n_valid + parts.n_test,
        columns=prepared.columns,
    )
    return placing.need_of(taken)


def _fingerprint(
    model_id: str,
    variant: Variant,
    parameters: Parameters,
    spec: thresholds.Spec,
    prepared: Prepared,
) -> str:
    return fingerprints.of(
        model_id=model_id,
        variant=asdict(variant),
        seed=parameters.random_state,
        threshold=asdict(spec),
        split_id=prepared.split.split_id,
        split=prepared.split.sha256,
        preprocessor=prepared.preprocessor.sha256,
        matrix=prepared.matrix.sha256,
        versions=dict(versions()),
    )


def _commit(
    task: FitTask, fitted: Fitted, parameters: Parameters, prepared: Prepared, context: Context
) -> None:
    measured = fitted.measured
    model = TrainedModel(
        **asdict(task.run),
        params=json.dumps(asdict(task.variant), ensure_ascii=False),
        threshold=measured.threshold,
        uri=fitted.model.uri,
        format=fitted.format,
        sha256=fitted.model.sha256,
        bytes=fitted.model.bytes,
        scores_uri=fitted.scores.uri,
        scores_sha256=fitted.scores.sha256,
        split_id=prepared.split.split_id,
        preprocessor_uri=prepared.preprocessor.uri,
        preprocessor_sha256=prepared.preprocessor.sha256,
        fingerprint=task.fingerprint,
        seconds=measured.fit_seconds,
        versions=json.dumps(dict(provenance())),
        device=measured.device,
        row_keys_uri=prepared.row_keys.uri,
        row_keys_sha256=prepared.row_keys.sha256,
        batch_param=json.dumps(parameters.determining(), ensure_ascii=False),
    )
    columns = {
        "threshold": measured.threshold,
        "fit_seconds": measured.fit_seconds,
        "predict_seconds": measured.predict_seconds,
        "scores_uri": fitted.scores.uri,
        "scores_sha256": fitted.scores.sha256,
        "fingerprint": task.fingerprint,
        "note": task.note,
    }
    rows = [
        task.run.success("valid", measured.valid, measured.valid_bands, **columns),
        task.run.success("test", measured.test, measured.test_bands, **columns),
    ]
    context.commit(lambda connection: results.put_model(connection, model, rows))
