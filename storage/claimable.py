"""Which rows of dc_batch may yet be claimed, and which have not come to their end."""

from sqlalchemy import ColumnElement, FromClause, and_, or_

from storage.columns import utc_now
from storage.schema import dc_batch

_batch = dc_batch.c


def waits_for_retry_of(table: FromClause) -> ColumnElement[bool]:
    """A row in E, and not for good."""
    batch = table.c
    return and_(
        batch.state == "E", batch.run_after.is_not(None), batch.attempt < batch.max_attempts
    )


waits_for_retry = waits_for_retry_of(dc_batch)

retry_is_due = and_(waits_for_retry, _batch.run_after <= utc_now())

waits = or_(_batch.state == "I", waits_for_retry)
"""The row may yet be claimed, if nothing keeps it back."""

is_wanted = and_(waits, _batch.cancel_requested_at.is_(None))
"""It waits, and nobody asked to cancel it."""


def is_open_of(table: FromClause) -> ColumnElement[bool]:
    """A row that has not come to its end."""
    return or_(table.c.state == "I", table.c.state == "U", waits_for_retry_of(table))


is_open = is_open_of(dc_batch)
