"""What must hold after a campaign, read from the database and the model store alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attempt:
    fence: int
    attempt: int
    outcome: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Ended:
    """A batch, all that is known of it."""

    batch_id: int
    state: str
    run_after: datetime | None
    fence: int
    max_attempts: int
    concurrency_key: str | None
    attempts: tuple[Attempt, ...]
    result_fences: tuple[int, ...]


def read(connection: Any) -> list[Ended]:
    with connection.cursor() as cursor:
        attempts = defaultdict(list)
        cursor.execute(
            "SELECT batch_id, fence, attempt, outcome, started_at, finished_at "
            "FROM dc_batch_attempt ORDER BY batch_id, fence"
        )
        for batch_id, *rest in cursor.fetchall():
            attempts[batch_id].append(Attempt(*rest))
        results = defaultdict(list)
        cursor.execute("SELECT batch_id, fence FROM dc_batch_result")
        for batch_id, fence in cursor.fetchall():
            results[batch_id].append(fence)
        cursor.execute(
            "SELECT batch_id, state, run_after, fence, max_attempts, concurrency_key FROM dc_batch"
        )
        return [
            Ended(*row, attempts=tuple(attempts[row[0]]), result_fences=tuple(results[row[0]]))
            for row in cursor.fetchall()
        ]


def violations(batches: Sequence[Ended], store: Path, expected: int) -> list[str]:
    """One line for each broken promise."""
    found = []
    if len(batches) != expected:
        found.append(f"{expected} batches were added, {len(batches)} are there")
    for batch in batches:
        found += [f"batch {batch.batch_id}: {line}" for line in _of_one(batch, store)]
    return found + _of_keys(batches)


def _of_one(batch: Ended, store: Path) -> list[str]:
    found = []
    accepted = [attempt for attempt in batch.attempts if attempt.outcome == "C"]
    if batch.state not in ("C", "E") or batch.run_after is not None:
        found.append(f"not at its end: {batch.state}, run_after {batch.run_after}")
    if len(accepted) != (batch.state == "C"):
        found.append(f"state {batch.state} with {len(accepted)} accepted finishes")
    if batch.state == "C":
        winner = batch.attempts[-1].fence
        if batch.fence != winner or accepted[-1:] != [batch.attempts[-1]]:
            found.append(f"the finish of a stale run was accepted: row at fence {batch.fence}")
        if batch.result_fences != (winner,):
            found.append(f"results of fences {batch.result_fences}, finished by {winner}")
        if not (store / f"T{batch.batch_id}" / f"f{winner}").exists():
            found.append(f"no file of fence {winner} in the store")
    if any(a.fence >= b.fence for a, b in pairwise(batch.attempts)):
        found.append("the fence did not grow")
    if batch.attempts and max(a.attempt for a in batch.attempts) > batch.max_attempts:
        found.append(f"more than {batch.max_attempts} attempts")
    if any(attempt.finished_at is None for attempt in batch.attempts):
        found.append("an attempt was never closed")
    return found


def _of_keys(batches: Sequence[Ended]) -> list[str]:
    """Two batches of one concurrency_key never run at once."""
    spans = defaultdict(list)
    for batch in batches:
        for attempt in batch.attempts if batch.concurrency_key else ():
            spans[batch.concurrency_key].append(
                (attempt.started_at, attempt.finished_at or attempt.started_at, batch.batch_id)
            )
    return [
        f"key {key}: batches {a[2]} and {b[2]} ran at once"
        for key, running in spans.items()
        for a, b in pairwise(sorted(running))
        if a[1] > b[0]
    ]
