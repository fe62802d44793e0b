"""Operators' levers on dc_batch: add, cancel, retry, re-run, reorder, delete.

Each does what an operator may do by plain SQL at any time, with the checks that SQL lacks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, null, or_, select, union
from sqlalchemy.exc import IntegrityError

from configs.errors import NotFound, WrongState
from configs.meant import some
from storage.attempts import UNCLAIMED
from storage.claimable import waits
from storage.columns import utc_now
from storage.records import Batch
from storage.schema import (
    LEFT_BY_BATCHES,
    dc_batch,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_ensemble_model,
)
from storage.transitions import assign, cancelled

_batch = dc_batch.c
COLUMNS = tuple(_batch[field.name] for field in fields(Batch))
"""What a Batch is read from."""
_STANDS = {"U": "runs", "C": "is completed", "E": "has failed"}


def add(connection: Connection, **columns: Any) -> int:
    """Insert a row and return its batch_id; every column that is not given has its default.

    Raises:
        WrongState: a batch with this dedupe_key waits or runs.
    """
    with _naming_twins():
        done = connection.execute(insert(dc_batch).values(**columns))
    key = done.inserted_primary_key
    assert key is not None
    return int(key[0])


def read(connection: Connection, batch_id: int) -> Batch | None:
    query = select(*COLUMNS).where(_batch.batch_id == batch_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Batch.from_row(row)


def existing(connection: Connection, batch_id: int) -> Batch:
    """Raises NotFound if there is no such batch."""
    found = read(connection, batch_id)
    if found is None:
        raise NotFound(no_such(batch_id))
    return found


def no_such(batch_id: int) -> str:
    return f"batch {batch_id} does not exist; `deepcredit batch list` shows those there are"


def cancel(connection: Connection, batch_id: int) -> bool:
    """End a batch that no launcher runs, or ask the one that does to stop it; False: it had ended.

    Raises:
        NotFound: there is no such batch.
    """
    row = _held(connection, batch_id)
    here = _batch.batch_id == batch_id
    if assign(connection, and_(here, or_(waits, UNCLAIMED)), cancelled()):
        return True
    return row.state == "U" and assign(connection, here, {"cancel_requested_at": utc_now()})


def retry(connection: Connection, batch_id: int) -> None:
    """Let a batch in E run as soon as may be, with all its attempts; likewise one that waits.

    Raises:
        NotFound: there is no such batch.
        WrongState: it runs or is completed.
    """
    row = _held(connection, batch_id)
    if row.state not in ("I", "E"):
        raise WrongState(
            f"batch {batch_id} {_STANDS[row.state]}; only one that failed or waits can be retried"
        )
    _reset(connection, batch_id)


def rerun(connection: Connection, batch_id: int) -> None:
    """Set I again, whatever the state. A launcher that runs it notices at its next heartbeat.

    Models that the batch has finished are kept, and not trained again.

    Raises:
        NotFound: there is no such batch.
    """
    _held(connection, batch_id)
    _reset(connection, batch_id)


def set_priority(connection: Connection, batch_id: int, priority: int) -> None:
    """Lower is sooner.

    Raises:
        NotFound: there is no such batch.
        WrongState: it is not in I; retries come by their time.
    """
    row = _held(connection, batch_id)
    if row.state != "I":
        again = f"; `deepcredit batch retry {batch_id}` lets it wait" if row.state == "E" else ""
        raise WrongState(
            f"batch {batch_id} {_STANDS[row.state]}: nothing is changed, for priority tells among "
            f"waiting batches alone{again}"
        )
    assign(connection, _batch.batch_id == batch_id, {"priority": priority})


def delete(connection: Connection, batch_id: int, *, force: bool = False) -> list[str]:
    """Remove a batch, its history, its results and its models' rows; files go at `store check`.
    Ranked ensembles, of which there may be millions, are left to `housekeeping.delete_ensembles`.

    Returns what still names the batch, in words.

    Raises:
        NotFound: there is no such batch.
        WrongState: a candidate list or another batch names it, and `force` is not given.
    """
    row = _held(connection, batch_id)
    names = _named_by(connection, batch_id)
    if names and not force:
        raise WrongState(
            f"batch {batch_id} is named by {some(names, 20)}; delete those first (a list by its "
            "rows in dc_candidate_model_list), or say --force"
        )
    for table in LEFT_BY_BATCHES:
        if table is dc_batch_result_t4:
            continue
        connection.execute(table.delete().where(table.c.batch_id == batch_id))
    connection.execute(dc_batch.delete().where(_batch.batch_id == row.batch_id))
    return names


def _held(connection: Connection, batch_id: int) -> Row[int, str]:
    row = connection.execute(
        select(_batch.batch_id, _batch.state).where(_batch.batch_id == batch_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(no_such(batch_id))
    return row


def _reset(connection: Connection, batch_id: int) -> None:
    values = dict.fromkeys(
        (
            "run_after",
            "work_end_date",
            "lease_until",
            "cancel_requested_at",
            "progress",
            "progress_note",
            "error_class",
            "error_text",
        ),
        null(),
    )
    with _naming_twins():
        assign(connection, _batch.batch_id == batch_id, {"state": "I", "attempt": 0} | values)


def _named_by(connection: Connection, batch_id: int) -> list[str]:
    """The candidate lists and the batches that take models of this one."""
    listed, member = dc_candidate_model_list.c, dc_ensemble_model.c
    lists = connection.scalars(
        select(listed.candidate_id)
        .where(listed.batch_id == batch_id)
        .distinct()
        .order_by(listed.candidate_id)
    )
    drawing = select(member.batch_id).where(member.model_batch_id == batch_id)
    # Two queries in one, so that each follows its index.
    others = connection.execute(
        union(
            select(_batch.batch_id, _batch.mode).where(_batch.train_batch_id == batch_id),
            select(_batch.batch_id, _batch.mode).where(_batch.batch_id.in_(drawing)),
        ).order_by("batch_id")
    )
    return [f"candidate list {name}" for name in lists] + [
        f"{mode or ''} batch {number}".lstrip() for number, mode in others if number != batch_id
    ]


@contextmanager
def _naming_twins() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "u_active" in str(error.orig) or "active_key" in str(error.orig):
            raise WrongState("another batch with this dedupe_key waits or runs") from error
        raise
