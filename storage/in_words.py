"""A batch in words, for people: its state, its last error, its data set."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, literal

from configs.errors import Cancelled
from storage.claimable import is_open_of, waits_for_retry_of
from storage.columns import utc_now
from storage.schema import dc_batch

_batch = dc_batch.c


def status(table: FromClause) -> ColumnElement[str]:
    """The state of a batch as an operator would say it."""
    batch = table.c
    return case(
        (and_(batch.cancel_requested_at.is_not(None), is_open_of(table)), "being cancelled"),
        (batch.state == "I", "waiting"),
        (and_(batch.state == "U", batch.lease_until < utc_now()), "running, but not heard of"),
        (batch.state == "U", "running"),
        (batch.state == "C", "completed"),
        (waits_for_retry_of(table), "waiting for a retry"),
        (batch.error_class == Cancelled.__name__, "cancelled"),
        else_="failed",
    )


def sentence(*parts: str | ColumnElement[Any]) -> ColumnElement[str]:
    whole: ColumnElement[str] = literal("")
    for part in parts:
        whole = whole.concat(part)
    return whole


def named(name: ColumnElement[Any]) -> ColumnElement[str]:
    """A name that somebody has given; a blank one, which none can be, as SQL writes it."""
    return case((func.trim(name) == "", "''"), else_=name)


def current(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """NULL while it waits: a row set to I by hand keeps what its last run said until the next."""
    return case((_batch.state != "I", column))


def last_error() -> ColumnElement[str]:
    """NULL unless it has failed: one set to I by hand keeps the columns until it is claimed."""
    said = sentence(_batch.error_class, ": ", func.coalesce(_batch.error_text, ""))
    return case((_batch.state == "E", said))


def dataset_name(
    group: ColumnElement[Any] = _batch.dataset_group,
    version: ColumnElement[Any] = _batch.dataset_version,
) -> ColumnElement[str]:
    return sentence(group, "/", version)
