"""The life of a claim: taking a batch, keeping it, and giving it an end.

Every change of owner is one UPDATE of one row, guarded by what must still hold (compare and swap);
locks only spare launchers from trying in vain. Time is the database's. Each function works inside
the caller's transaction, which must be rolled back when one raises.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Executable, Row, and_, bindparam, case, null, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from configs.errors import LeaseLost, Retry
from storage import attempts
from storage.batches import COLUMNS
from storage.claimable import RETRIES, THIS_ONE, WAITING, waits_for_retry
from storage.columns import shorten, utc_now
from storage.engine import is_locked, not_waiting
from storage.records import Batch, Claim, State
from storage.schema import dc_batch
from storage.transitions import (
    FINISHED,
    OWNED,
    TAKEN,
    assign,
    assignment,
    backoff_seconds,
    cancelled,
    failed,
    locked,
    owned,
    proof,
    unchanged,
)

_PATIENCE = 100  # rows to try in vain before the next poll
_ADOPTED_SECONDS = 60 * 60

_PRIORITY = attrgetter("priority")

_batch = dc_batch.c
Seen = Row[*tuple[Any, ...]]

# Statements are written once: to put them together takes longer than to execute them.
_MAY_BE_TAKEN = (
    _batch.state == bindparam("the_state"),
    or_(_batch.state == "I", _batch.run_after.is_not(None)),
    _batch.cancel_requested_at.is_(None),
)
# Whoever holds a row is not waited for. Of a scan MariaDB gives back the lock of a row that does
# not suit, of a look-up by one number not: its owner would wait for our transaction to end.
_LOCK = (
    select(_batch.batch_id, _batch.fence)
    .where(_batch.batch_id.in_(bindparam("few", expanding=True)), *_MAY_BE_TAKEN)
    .order_by(_batch.batch_id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .with_hint(dc_batch, "FORCE INDEX (PRIMARY)", "mariadb")
)
_NOBODY = 0  # beside one number it makes a scan of a look-up
_TAKE = assignment(
    and_(
        _batch.batch_id == bindparam("the_batch"),
        _batch.fence == bindparam("the_fence"),
        *_MAY_BE_TAKEN,
    ),
    TAKEN,
)
_READ = select(*COLUMNS).where(
    _batch.batch_id == bindparam("the_batch"), _batch.claim_id == bindparam("new_claim")
)
_HOLD = select(_batch.batch_id).where(OWNED).with_for_update()
_FINISH = assignment(OWNED, FINISHED)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat found: whether the batch is still ours, and whether to stop."""

    owned: bool
    cancel_requested: bool


def claim(
    connection: Connection,
    *,
    server: str,
    identity: str,
    lease_seconds: float,
    queues: Sequence[str] = ("default",),
    tags: Sequence[str] = (),
    free_mb: int | None = None,
    batch_id: int | None = None,
) -> Batch | None:
    """Take the next batch and return it as it stands after the claim; None: there is none.

    First come waiting rows by priority and age, then retries that are due, queue by queue. With
    `batch_id` it is this very batch or none: then queue, pauses, needs and `run_after` do not
    matter, but a batch that is cancelled, blocked by its concurrency_key or waits for the batch
    it builds on is still not taken.

    `identity` tells this launcher from all others (host, pid, boot, slot) in dc_batch_attempt.
    """
    offer = {"server": server, "tags": list(tags), "free_mb": free_mb}
    for rows in _candidates(connection, offer, queues, batch_id):
        batch = _take_one(connection, rows, server, lease_seconds)
        if batch is not None:
            attempts.begin(connection, batch, identity)
            return batch
    return None


def _candidates(
    connection: Connection, offer: dict[str, Any], queues: Sequence[str], batch_id: int | None
) -> Iterator[Sequence[Seen]]:
    """A few rows of one state at a time, of which the least number comes first."""
    if batch_id is not None:
        yield connection.execute(THIS_ONE, {"batch_id": batch_id}).all()
        return
    for queue in queues:
        for few in _pages(connection, WAITING, offer | {"queue": queue}):
            for _, rows in groupby(few, _PRIORITY):
                yield list(rows)
        for few in _pages(connection, RETRIES, offer | {"queue": queue}):
            yield from ([row] for row in few)


def _pages(
    connection: Connection, query: Executable, offer: dict[str, Any]
) -> Iterator[Sequence[Seen]]:
    passed: list[int] = []  # taken by others meanwhile, or locked by who knows whom
    while len(passed) < _PATIENCE:
        rows = connection.execute(query, offer | {"passed": passed}).all()
        if not rows:
            break
        yield rows
        passed += [row.batch_id for row in rows]


def _take_one(
    connection: Connection, rows: Sequence[Seen], server: str, lease_seconds: float
) -> Batch | None:
    """None: others were faster with all of them, or took batches with the same concurrency_key."""
    left = {row.batch_id: row for row in rows}
    while left:
        few = {"few": [_NOBODY, *left], "the_state": rows[0].state}
        found = connection.execute(_LOCK, few).first()
        if found is None:
            return None
        row = left.pop(found.batch_id)
        if found.fence == row.fence and (batch := _take(connection, row, server, lease_seconds)):
            return batch
    return None


def _take(connection: Connection, row: Seen, server: str, lease_seconds: float) -> Batch | None:
    """None: it changed since it was seen, or one of its keys is busy.

    A key is an entry of a unique index, and no lock clause passes over one that another transaction
    is about to write: a launcher frozen in the middle of its claim would hold up all others.
    """
    seen = {"the_batch": row.batch_id, "the_state": row.state, "the_fence": row.fence}
    new = {"new_claim": uuid4().hex, "server": server, "lease_seconds": lease_seconds}
    try:
        with not_waiting(connection) if row.has_key else nullcontext():
            if connection.execute(_TAKE, seen | new).rowcount != 1:
                return None
    except IntegrityError:
        return None
    except DBAPIError as error:
        if not is_locked(error):
            raise
        return None
    found = connection.execute(_READ, seen | new)
    return Batch.from_row(found.mappings().one())


def claim_of(batch: Batch) -> Claim:
    """The proof of ownership in a batch that `claim` returned."""
    if batch.claim_id is None:
        raise ValueError(f"batch {batch.batch_id} was never claimed")
    return Claim(
        batch_id=batch.batch_id, claim_id=batch.claim_id, fence=batch.fence, attempt=batch.attempt
    )


def beat(
    connection: Connection,
    claim: Claim,
    *,
    lease_seconds: float,
    progress: float | None,
    note: str | None,
) -> Beat:
    """Renew the lease; None leaves progress or note as it is.

    Only an answer with `owned` False proves a loss. A beat that comes late, after the lease
    ended, still renews it if nobody took the batch.
    """
    values: dict[str, Any] = {"lease_until": utc_now(lease_seconds)}
    if progress is not None:
        values["progress"] = min(max(progress, 0.0), 1.0)
    if note is not None:
        values["progress_note"] = shorten(note, 255)
    if not assign(connection, owned(claim), values):
        return Beat(owned=False, cancel_requested=False)
    cancel = connection.scalar(
        select(_batch.cancel_requested_at).where(_batch.batch_id == claim.batch_id)
    )
    return Beat(owned=True, cancel_requested=cancel is not None)


def hold(connection: Connection, claim: Claim) -> None:
    """Lock the row until the transaction ends, so that what it writes is written by the owner.

    Raises:
        LeaseLost: the batch is no longer ours; nothing of this transaction may be committed.
    """
    if connection.scalar(_HOLD, proof(claim)) is None:
        raise LeaseLost(
            f"batch {claim.batch_id} is no longer ours (fence {claim.fence}): "
            "another run, an operator or a sweep took it"
        )


def finish(connection: Connection, claim: Claim, *, note: str | None = None) -> bool:
    """U to C, with a last word for people. False: the batch is not ours, or was finished before;
    `settled` tells which.
    """
    done = connection.execute(_FINISH, proof(claim) | {"note": shorten(note, 255)}).rowcount == 1
    if done:
        attempts.end(connection, claim.batch_id, claim.fence, "C")
    return done


def fail(
    connection: Connection,
    claim: Claim,
    *,
    error_class: str,
    error_text: str,
    retry: Retry,
    traceback: str | None = None,
) -> bool:
    """U to E, waiting for a retry or for good. False as for `finish`.

    It is for good when `retry` says so, when the attempts are used up, or when a cancel was
    requested. The traceback goes to dc_batch_attempt alone.
    """
    delays = {Retry.NEVER: None, Retry.AT_ONCE: 0.0, Retry.LATER: backoff_seconds(claim.attempt)}
    text = error_text if traceback is None else f"{error_text}\n\n{traceback}"
    done = assign(connection, owned(claim), failed(error_class, error_text, delays[retry]))
    if done:
        attempts.end(connection, claim.batch_id, claim.fence, "E", error_class, text)
    return done


def release(connection: Connection, claim: Claim) -> bool:
    """U back to I, the attempt not counted: for a launcher that stops. False as for `finish`.

    A batch whose cancel was requested ends in E, Cancelled, instead.
    """
    values = {
        "state": "I",
        "attempt": case((_batch.attempt > 0, _batch.attempt - 1), else_=0),
        "work_end_date": utc_now(),
        "lease_until": null(),
        "progress": null(),
        "progress_note": null(),
    }
    guard = and_(owned(claim), _batch.cancel_requested_at.is_(None))
    if assign(connection, guard, values):
        attempts.end(connection, claim.batch_id, claim.fence, "I")
        return True
    return fail(
        connection,
        claim,
        error_class="Cancelled",
        error_text="an operator cancelled the batch",
        retry=Retry.NEVER,
    )


def settled(connection: Connection, claim: Claim) -> State | None:
    """What became of a claim whose last answer was lost; None: another claim or nothing is there.

    U: still ours, so repeat the call. C: finished. E: failed, or swept. I: given back, or reset
    by an operator.
    """
    state: State | None = connection.scalar(
        select(_batch.state).where(
            _batch.batch_id == claim.batch_id, _batch.claim_id == claim.claim_id
        )
    )
    return state


def sweep(connection: Connection) -> list[tuple[int, int]]:
    """Give an end to what nobody looks after; returns batch_id and fence of attempts that died.

    Running batches whose lease ended go to E, to be retried at once while attempts are left.
    Rows set to U by hand, without a lease, are given one hour. Cancels that operators requested
    by SQL of rows that do not run are carried out. Rows that somebody else has locked are left
    for the next sweep, so that a sweep waits for nobody.
    """
    ended = (_batch.state == "U", _batch.lease_until < utc_now())
    swept = [
        (row.batch_id, row.fence) for row in locked(connection, *ended) if _expire(connection, row)
    ]
    for row in locked(connection, _batch.state == "U", _batch.lease_until.is_(None)):
        assign(connection, unchanged(row), {"lease_until": utc_now(_ADOPTED_SECONDS)})
    for row in locked(connection, _batch.cancel_requested_at.is_not(None), _batch.state != "U"):
        waiting = or_(_batch.state == "I", waits_for_retry)
        if not assign(connection, and_(unchanged(row), waiting), cancelled()):
            # It had ended before; kept, the request would cancel its next run.
            assign(connection, unchanged(row), {"cancel_requested_at": null()})
    return swept


def _expire(connection: Connection, row: Row[*tuple[Any, ...]]) -> bool:
    error_class, text = "LeaseExpired", f"{row.serve_server_id} stopped renewing its lease"
    if row.cancel_requested_at is not None:
        error_class, text = "Cancelled", f"cancelled; {text}"
    guard = and_(unchanged(row), _batch.lease_until < utc_now())
    # The fence moves on, so that whatever still writes under the old one is refused.
    if not assign(connection, guard, {"fence": _batch.fence + 1} | failed(error_class, text, 0)):
        return False
    attempts.end(connection, row.batch_id, row.fence, "E", error_class, text)
    return True
