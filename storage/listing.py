"""Batches in words, as people read them."""

from typing import Any

from sqlalchemy import Connection, func, select

from storage.in_words import dataset_name
from storage.records import State
from storage.schema import dc_batch
from storage.views import as_table

_in_words = as_table("v_batch")

NAMES = tuple(column.name for column in _in_words.c)


def batches(
    connection: Connection, *, state: State | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Rows of v_batch, the newest first. What one that predicts leaves out of its data set is that
    of its train batch.
    """
    own, parent = dc_batch.alias("own"), dc_batch.alias("parent")
    parts = (func.coalesce(own.c[n], parent.c[n]) for n in ("dataset_group", "dataset_version"))
    dataset = dataset_name(*parts).label("dataset")
    # The words are put together of those few alone: of all that have ended it takes long.
    few = select(dc_batch.c.batch_id).order_by(dc_batch.c.batch_id.desc()).limit(limit)
    if state is not None:
        few = few.where(dc_batch.c.state == state)
    if state == "C":  # nearly all: the newest are quicker met by number than sorted out
        few = few.with_hint(dc_batch, "FORCE INDEX (PRIMARY)", "mariadb")
    newest = few.subquery("newest")
    query = (
        select(*(dataset if part.name == "dataset" else part for part in _in_words.c))
        .join(newest, newest.c.batch_id == _in_words.c.batch_id)
        .join(own, own.c.batch_id == _in_words.c.batch_id)
        .outerjoin(parent, parent.c.batch_id == _in_words.c.train_batch_id)
        .order_by(_in_words.c.batch_id.desc())
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def beside(connection: Connection, batch_id: int) -> dict[str, Any]:
    """What people read of a batch beside its `Batch`: columns that no run needs, and v_batch's word
    on why it does not run; empty if there is no such batch.
    """
    row = dc_batch.c
    columns = (row.batch_memo, row.script_no, row.concurrency_key, row.dedupe_key)
    query = (
        select(*columns, _in_words.c.waits_for)
        .join(_in_words, _in_words.c.batch_id == row.batch_id)
        .where(row.batch_id == batch_id)
    )
    found = connection.execute(query).mappings().one_or_none()
    return dict(found or {})


def waits_for(connection: Connection, batch_id: int) -> str | None:
    """Why the batch does not run, as v_batch says; None: it runs, has ended or does not exist."""
    words: str | None = connection.scalar(
        select(_in_words.c.waits_for).where(_in_words.c.batch_id == batch_id)
    )
    return words
