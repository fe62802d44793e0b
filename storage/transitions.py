"""The guarded UPDATEs of dc_batch: every change of owner or state is an `assignment`."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    Update,
    and_,
    bindparam,
    case,
    func,
    null,
    select,
    update,
)

from configs.errors import Cancelled
from storage.columns import error_columns, utc_now
from storage.records import ESTIMATE, WAITS, Claim
from storage.schema import dc_batch

_AT_ONCE = 50
_MOST_ATTEMPTS = 2**15 - 1
_FIRST_RETRY_SECONDS = 20 * 60
_LAST_RETRY_SECONDS = 6 * 60 * 60

_batch = dc_batch.c
_cancel_requested = _batch.cancel_requested_at.is_not(None)


OWNED = and_(
    _batch.batch_id == bindparam("the_batch"),
    _batch.state == "U",
    _batch.claim_id == bindparam("the_claim"),
    _batch.fence == bindparam("the_fence"),
)
"""The guard of every write of a run: the row is running, in the claim whose `proof` is given."""


def proof(claim: Claim) -> dict[str, Any]:
    """What OWNED asks for."""
    return {
        "the_batch": claim.batch_id,
        "the_claim": claim.claim_id,
        "the_fence": claim.fence,
    }


def unchanged(row: Row[*tuple[Any, ...]]) -> ColumnElement[bool]:
    """The guard of everybody else: nobody has taken or ended the row since it was read."""
    return and_(
        _batch.batch_id == row.batch_id, _batch.state == row.state, _batch.fence == row.fence
    )


def assign(
    connection: Connection,
    guard: ColumnElement[bool],
    values: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
) -> bool:
    """Set columns of one row, in the order given; whether the guard held, with its `parameters`.

    The order matters: on MariaDB an assignment sees what those before it have set, on SQLite not,
    so no expression may read a column that stands further up.
    """
    return connection.execute(assignment(guard, values), parameters).rowcount == 1


def assignment(guard: ColumnElement[bool], values: Mapping[str, Any]) -> Update:
    """The statement that `assign` executes."""
    pairs = [(_batch[name], value) for name, value in values.items()]
    return update(dc_batch).where(guard).ordered_values(*pairs)


TAKEN: Mapping[str, Any] = {
    "state": "U",
    # An operator may have set it to all that its column takes.
    "attempt": case((_batch.attempt < _MOST_ATTEMPTS, _batch.attempt + 1), else_=_MOST_ATTEMPTS),
    "fence": _batch.fence + 1,
    "claim_id": bindparam("new_claim", type_=_batch.claim_id.type),
    "serve_server_id": bindparam("server", type_=_batch.serve_server_id.type),
    "work_date": utc_now(),
    "work_end_date": null(),
    "lease_until": utc_now(bindparam("lease_seconds", type_=Double())),
    "run_after": null(),
    "progress": null(),
    "progress_note": null(),
    "error_class": null(),
    "error_text": null(),
}
"""What a row gets that goes to U."""

FINISHED: Mapping[str, Any] = {
    "state": "C",
    "work_end_date": utc_now(),
    "lease_until": null(),
    "progress": 1.0,
    "progress_note": func.coalesce(
        bindparam("note", type_=_batch.progress_note.type), _batch.progress_note
    ),
    "cancel_requested_at": null(),
}
"""What a row gets that goes to C; `note` None leaves what there is."""


def _what_was_done() -> ColumnElement[str]:
    """The note without its estimate, or what it waits for: that has come to an end."""
    return _before(WAITS, _before(ESTIMATE, _batch.progress_note))


def _before(mark: str, note: ColumnElement[str]) -> ColumnElement[str]:
    found = func.instr(note, mark)
    return case((found > 0, func.substr(note, 1, found - 1)), else_=note)


def failed(error_class: str, error_text: str, delay: float | None) -> dict[str, Any]:
    """What a row gets that goes from U to E; `delay` in seconds, None: it is not retried."""
    retry = and_(_batch.attempt < _batch.max_attempts, ~_cancel_requested)
    return {
        "state": "E",
        "work_end_date": utc_now(),
        "lease_until": null(),
        "progress_note": _what_was_done(),
        **error_columns(error_class, error_text),
        "run_after": null() if delay is None else case((retry, utc_now(delay)), else_=null()),
        "cancel_requested_at": null(),
    }


def cancelled() -> dict[str, Any]:
    """What a row gets that will not be run, or not be run again."""
    return {
        "state": "E",
        "run_after": null(),
        "lease_until": null(),
        "progress_note": _what_was_done(),
        "error_class": Cancelled.__name__,
        "error_text": "cancelled while no launcher ran it",
        "cancel_requested_at": null(),
    }


def locked(
    connection: Connection, *conditions: ColumnElement[bool]
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Rows that meet the conditions, each locked as it is reached, in the order of their numbers.

    Rows that somebody else has locked are passed over. The numbers are read without a lock first:
    a locking scan of a secondary index could deadlock with those who come by primary key.
    """
    # Sorted here: for an ORDER BY with LIMIT the optimiser may walk the whole primary key.
    numbers = connection.scalars(select(_batch.batch_id).where(*conditions).limit(_AT_ONCE))
    for batch_id in sorted(numbers):
        row = connection.execute(
            select(
                _batch.batch_id,
                _batch.state,
                _batch.fence,
                _batch.serve_server_id,
                _batch.cancel_requested_at,
            )
            .where(_batch.batch_id == batch_id, *conditions)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if row is not None:
            yield row


def backoff_seconds(attempt: int) -> float:
    """20 minutes after the first attempt, doubling up to 6 hours, give or take a tenth."""
    seconds: float = min(_FIRST_RETRY_SECONDS * 2 ** (max(attempt, 1) - 1), _LAST_RETRY_SECONDS)
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret
