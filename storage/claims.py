"""The life of a claim: taking a batch, keeping it, and giving it an end.

Every change of owner is one UPDATE of one row, guarded by what must still hold (compare and swap);
locks only spare launchers from trying in vain. Time is the database's. Each function works inside
the caller's transaction, which must be rolled back when one raises.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, null, or_, select

from configs.errors import Cancelled, LeaseLost, Retry
from storage import attempts, taking
from storage.columns import shorten, utc_now
from storage.offers import Offer
from storage.records import Batch, Claim, State
from storage.schema import dc_batch
from storage.transitions import (
    FINISHED,
    OWNED,
    assign,
    assignment,
    backoff_seconds,
    failed,
    proof,
)

_batch = dc_batch.c

# Written once, since every model and every batch needs them.
_HOLD = select(_batch.batch_id).where(OWNED).with_for_update()
_FINISH = assignment(OWNED, FINISHED)


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat found: whether the batch is still ours, and whether to stop."""

    owned: bool
    cancel_requested: bool


def claim(
    connection: Connection,
    offer: Offer,
    *,
    identity: str,
    lease_seconds: float,
    batch_id: int | None = None,
) -> Batch | None:
    """Take the next batch and return it as it stands after the claim; None: there is none.

    First come waiting rows by priority and age, then retries that are due, queue by queue. With
    `batch_id` it is this very batch or none: then queue, pauses, needs and `run_after` do not
    matter, but a batch that is cancelled, blocked by its concurrency_key or waits for the batch
    it builds on is still not taken.

    `identity` tells this launcher from all others (host, pid, boot, slot) in dc_batch_attempt.
    """
    for rows in taking.candidates(connection, offer, batch_id):
        batch = taking.take_one(connection, rows, offer.server, lease_seconds)
        if batch is not None:
            attempts.begin(connection, batch, identity)
            return batch
    return None


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
    if not assign(connection, OWNED, values, proof(claim)):
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
    values = failed(error_class, error_text, delays[retry])
    done = assign(connection, OWNED, values, proof(claim))
    if done:
        attempts.end(connection, claim.batch_id, claim.fence, "E", error_class, text)
    return done


def release(
    connection: Connection,
    claim: Claim,
    error_class: str | None = None,
    reason: str | None = None,
    at_most: int | None = None,
) -> bool:
    """U back to I, the attempt not counted: for a launcher that stops, or a run that could not
    begin. False as for `finish`. The history of the batch keeps the reason.

    A batch whose cancel was requested ends in E, Cancelled, instead; one that was given back
    `at_most` times in a row for this, in E as a failure.
    """
    if (
        error_class is not None
        and at_most is not None
        and attempts.given_back(connection, claim, error_class, at_most)
    ):
        text = f"{reason}; it was given back {at_most} times for this"
        return fail(connection, claim, error_class=error_class, error_text=text, retry=Retry.LATER)
    values = {
        "state": "I",
        "attempt": case((_batch.attempt > 0, _batch.attempt - 1), else_=0),
        "work_end_date": utc_now(),
        "lease_until": null(),
        "progress": null(),
        "progress_note": null(),
    }
    guard = and_(OWNED, _batch.cancel_requested_at.is_(None))
    if assign(connection, guard, values, proof(claim)):
        attempts.end(connection, claim.batch_id, claim.fence, "I", error_class, reason)
        return True
    return fail(
        connection,
        claim,
        error_class=Cancelled.__name__,
        error_text="cancelled by an operator",
        retry=Cancelled.retry,
    )


def settled(connection: Connection, claim: Claim) -> State | None:
    """What became of a claim whose last answer was lost; None: another claim or nothing is there.

    U: still ours, so repeat the call. C: finished. E: failed, or swept. I: given back, or reset
    by an operator.
    """
    state: State | None = connection.scalar(
        select(_batch.state).where(
            _batch.batch_id == claim.batch_id,
            _batch.claim_id == claim.claim_id,
            # With another fence it was swept, and then set to U by hand: nobody's.
            or_(_batch.state != "U", _batch.fence == claim.fence),
        )
    )
    return state
