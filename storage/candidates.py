"""Candidate lists: which trained models an ensemble batch may draw from."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from configs.errors import NotFound
from configs.meant import meant, some
from configs.wording import counted
from storage import batches, results
from storage.metadata import MODEL_KEY, same_model
from storage.ranking import best_first, require_metric
from storage.records import ModelName, TrainedModel, written
from storage.schema import dc_batch_result, dc_candidate_model_list, dc_model

_ATTEMPTS = 5
_listed = dc_candidate_model_list.c
_result = dc_batch_result.c


def lists(connection: Connection) -> tuple[tuple[str, int, int], ...]:
    """Every candidate_id, how many models it lists, and how many of them are in dc_model; by
    name.
    """
    there = dc_candidate_model_list.outerjoin(
        dc_model, same_model(dc_model, dc_candidate_model_list)
    )
    rows = connection.execute(
        select(_listed.candidate_id, func.count(), func.count(dc_model.c.batch_id))
        .select_from(there)
        .group_by(_listed.candidate_id)
        .order_by(_listed.candidate_id)
    )
    return tuple((name, listed, trained) for name, listed, trained in rows)


def names(connection: Connection, candidate_id: str) -> tuple[ModelName, ...]:
    """The models of a list, by batch_id, model_no and model_sub_no: the order in which members
    of an ensemble are numbered.

    Raises:
        NotFound: the list has no row; the message names the lists there are.
    """
    found = _names(connection, candidate_id)
    if not found:
        raise NotFound(
            f"candidate_id {candidate_id!r} lists no model; {what_exists(connection, candidate_id)}"
        )
    return found


def _names(connection: Connection, candidate_id: str) -> tuple[ModelName, ...]:
    key = (_listed.batch_id, _listed.model_no, _listed.model_sub_no)
    rows = connection.execute(
        select(*key).where(_listed.candidate_id == candidate_id).order_by(*key)
    )
    return tuple((batch, model, sub) for batch, model, sub in rows)


def models(connection: Connection, candidate_id: str) -> tuple[TrainedModel, ...]:
    """The trained models of a list, in the order of `names`.

    Raises:
        NotFound: the list has no row, or a model of it is not in dc_model.
    """
    wanted = names(connection, candidate_id)
    found = trained(connection, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise NotFound(
            f"candidate_id {candidate_id!r}: {len(missing)} of {counted(len(wanted), 'model')} not "
            f"in dc_model, the first: {written(missing[0])}; train its batch again or delete its "
            "row from dc_candidate_model_list"
        )
    return tuple(found[name] for name in wanted)


def trained(connection: Connection, wanted: Iterable[ModelName]) -> dict[ModelName, TrainedModel]:
    """Those of the named models that are in dc_model."""
    left = set(wanted)
    found = {}
    for batch_id in sorted({name[0] for name in left}):
        for model in results.models(connection, batch_id):
            if model.name in left:
                found[model.name] = model
    return found


def best(
    connection: Connection, batch_id: int, *, metric: str = "auc", top: int | None = None
) -> tuple[ModelName, ...]:
    """The trained models of a batch, best first by a metric on valid; `top`: no more than these.

    Models whose metric is undefined come last; equal ones in the order of their numbers.

    Raises:
        NotFound: there is no such train batch, or it has no trained model.
        BadParameter: there is no such metric.
    """
    require_metric(metric)
    rows = connection.execute(
        select(_result.batch_id, _result.model_no, _result.model_sub_no)
        .join(dc_model, same_model(dc_model, dc_batch_result))
        .where(_result.batch_id == batch_id, _result.split == "valid", _result.state == "C")
        .order_by(*best_first(dc_batch_result, metric))
        .limit(top)
    )
    found = tuple((batch, model, sub) for batch, model, sub in rows)
    if not found:
        results.require_train(connection, batch_id)
        raise NotFound(f"batch {batch_id} {_without_models(connection, batch_id)}")
    return found


def _without_models(connection: Connection, batch_id: int) -> str:
    batch = batches.existing(connection, batch_id)
    if batch.ended:
        return "has no trained model"
    stands = "still runs" if batch.state == "U" else "still waits to run"
    return f"{stands} and has no trained model yet; first: deepcredit batch wait {batch_id}"


def add(connection: Connection, candidate_id: str, wanted: Iterable[ModelName]) -> int:
    """Add models to a list; those on it already stay. Returns how many are new."""
    models = tuple(dict.fromkeys(wanted))
    for _ in range(_ATTEMPTS - 1):
        with suppress(IntegrityError):  # somebody else has added some of them since we looked
            return _add_missing(connection, candidate_id, models)
    return _add_missing(connection, candidate_id, models)


def _add_missing(connection: Connection, candidate_id: str, models: Iterable[ModelName]) -> int:
    there = set(_names(connection, candidate_id))
    new = [name for name in models if name not in there]
    if new:
        connection.execute(
            insert(dc_candidate_model_list),
            [
                {"candidate_id": candidate_id, **dict(zip(MODEL_KEY, name, strict=True))}
                for name in new
            ],
        )
    return len(new)


def what_exists(connection: Connection, wanted: str = "") -> str:
    """The lists there are, for an error about one that is not."""
    there = lists(connection)
    if not there:
        return "there are no lists yet: see `deepcredit candidates add --help`"
    named = [f"{name} ({counted(listed, 'model')})" for name, listed, _ in there]
    return f"{meant(wanted, (name for name, *_ in there))}there are: {some(named, 20)}"
