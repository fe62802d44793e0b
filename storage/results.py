"""What batches leave behind: splits, trained models, and their metrics by split.

Writers call these inside a transaction that already holds the batch (`claims.hold`), so that a run
which lost its batch writes nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict

from sqlalchemy import Connection, Table, delete, insert, select

from configs.errors import Unknown
from storage.records import Result, Split, TrainedModel
from storage.schema import dc_batch_result, dc_model, dc_split

ModelKey = tuple[int, int]
"""(model_no, model_sub_no)"""


def put_split(connection: Connection, split: Split) -> None:
    """Register a split; the same split registered again changes nothing."""
    known = connection.execute(
        select(dc_split.c.split_id).where(dc_split.c.split_id == split.split_id)
    )
    if known.first() is None:
        connection.execute(insert(dc_split).values(asdict(split)))


def read_split(connection: Connection, split_id: str) -> Split:
    row = connection.execute(select(dc_split).where(dc_split.c.split_id == split_id)).mappings()
    found = row.one_or_none()
    if found is None:
        raise Unknown(f"split {split_id[:12]} is not in dc_split; train its batch again")
    return Split.from_row(found)


def put_model(connection: Connection, model: TrainedModel, results: Iterable[Result]) -> None:
    """Replace a model of a batch and its metrics by those of this run."""
    _delete_model(connection, dc_model, model.batch_id, (model.model_no, model.model_sub_no))
    connection.execute(insert(dc_model).values(asdict(model)))
    put_results(connection, results)


def put_failure(connection: Connection, results: Iterable[Result]) -> None:
    """Record that a model failed; what an earlier run left of it goes."""
    for result in results:
        key = (result.model_no, result.model_sub_no)
        _delete_model(connection, dc_model, result.batch_id, key)
        put_results(connection, [result])


def put_results(connection: Connection, results: Iterable[Result]) -> None:
    """Replace metrics, one row a model and split."""
    for result in results:
        columns = asdict(result)
        columns |= columns.pop("metrics")
        connection.execute(
            delete(dc_batch_result).where(
                dc_batch_result.c.batch_id == result.batch_id,
                dc_batch_result.c.model_no == result.model_no,
                dc_batch_result.c.model_sub_no == result.model_sub_no,
                dc_batch_result.c.split == result.split,
            )
        )
        connection.execute(insert(dc_batch_result).values(columns))


def keep_only(connection: Connection, batch_id: int, keys: Collection[ModelKey]) -> None:
    """Drop what earlier runs left of models that this batch no longer has."""
    for table in (dc_model, dc_batch_result):
        found = connection.execute(
            select(table.c.model_no, table.c.model_sub_no)
            .where(table.c.batch_id == batch_id)
            .distinct()
        )
        for model_no, model_sub_no in found.tuples().all():
            if (model_no, model_sub_no) not in keys:
                _delete_model(connection, table, batch_id, (model_no, model_sub_no))


def models(connection: Connection, batch_id: int) -> tuple[TrainedModel, ...]:
    """The trained models of a batch, by model_no and model_sub_no."""
    rows = connection.execute(
        select(dc_model)
        .where(dc_model.c.batch_id == batch_id)
        .order_by(dc_model.c.model_no, dc_model.c.model_sub_no)
    ).mappings()
    return tuple(TrainedModel.from_row(row) for row in rows)


def finished(connection: Connection, batch_id: int) -> dict[ModelKey, str]:
    """Fingerprints of the models of this batch whose metrics are complete."""
    table = dc_batch_result
    rows = connection.execute(
        select(table.c.model_no, table.c.model_sub_no, table.c.fingerprint).where(
            table.c.batch_id == batch_id, table.c.state == "C", table.c.fingerprint.is_not(None)
        )
    )
    return {(model_no, sub): fingerprint for model_no, sub, fingerprint in rows.tuples()}


def _delete_model(connection: Connection, table: Table, batch_id: int, key: ModelKey) -> None:
    connection.execute(
        delete(table).where(
            table.c.batch_id == batch_id,
            table.c.model_no == key[0],
            table.c.model_sub_no == key[1],
        )
    )
