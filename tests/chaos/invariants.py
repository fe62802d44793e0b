"""What must hold after a campaign, read from the database and the model store alone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.marks import is_mark


@dataclass(frozen=True)
class Attempt:
    fence: int
    attempt: int
    outcome: str | None
    started_at: datetime
    finished_at: datetime | None
    error_class: str | None


@dataclass(frozen=True)
class File:
    """As the database names it."""

    fence: int
    uri: str
    sha256: str


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
    files: tuple[File, ...]


def read(connection: Any) -> list[Ended]:
    with connection.cursor() as cursor:
        attempts, results, files = defaultdict(list), defaultdict(list), defaultdict(list)
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute(
            "SELECT batch_id, fence, attempt, outcome, started_at, finished_at, error_class "
            "FROM dc_batch_attempt ORDER BY batch_id, fence"
        )
        for batch_id, *rest in cursor.fetchall():
            attempts[batch_id].append(Attempt(*rest))
        cursor.execute("SELECT batch_id, fence FROM dc_batch_result")
        for batch_id, fence in cursor.fetchall():
            results[batch_id].append(fence)
        cursor.execute("SELECT batch_id, fence, uri, sha256 FROM dc_model")
        for batch_id, *rest in cursor.fetchall():
            files[batch_id].append(File(*rest))
        cursor.execute(
            "SELECT batch_id, state, run_after, fence, max_attempts, concurrency_key FROM dc_batch"
        )
        return [
            Ended(*row, *(tuple(kept[row[0]]) for kept in (attempts, results, files)))
            for row in cursor.fetchall()
        ]


def violations(batches: Sequence[Ended], expected: int) -> list[str]:
    """One line for each broken promise of a campaign that is over."""
    return at_their_end(batches, expected) + beyond_repair(batches)


def at_their_end(batches: Sequence[Ended], expected: int) -> list[str]:
    found = []
    if len(batches) != expected:
        found.append(f"{expected} batches were added, {len(batches)} are there")
    for batch in batches:
        if batch.state not in ("C", "E") or batch.run_after is not None:
            found.append(f"{_name(batch)} not at its end: {batch.state}, {batch.run_after}")
        if any(attempt.finished_at is None for attempt in batch.attempts):
            found.append(f"{_name(batch)} an attempt was never closed")
    return found


def beyond_repair(batches: Sequence[Ended]) -> list[str]:
    """The promises that must hold at any time, also while launchers are at work."""
    found = [f"{_name(batch)} {line}" for batch in batches for line in _of_results(batch)]
    return of_attempts(batches) + found + _of_keys(batches)


def of_attempts(batches: Sequence[Ended]) -> list[str]:
    """Those that hold whatever batches do."""
    return [f"{_name(batch)} {line}" for batch in batches for line in _of_one(batch)]


def in_store(batches: Sequence[Ended], store: Path) -> list[str]:
    """Every file that is named is whole; after `store check --delete` there are no others."""
    named = {file.uri for batch in batches for file in batch.files}
    there = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    there = {uri for uri in there if not is_mark(uri)}
    found = [f"{uri} is in the store and nothing names it" for uri in sorted(there - named)]
    return found + whole(batches, store)


def whole(batches: Sequence[Ended], store: Path) -> list[str]:
    """The files of models are there, and what was put there."""
    found = []
    for file in (file for batch in batches for file in batch.files):
        if not (store / file.uri).is_file():
            found.append(f"{file.uri} is not in the store")
        elif sha256((store / file.uri).read_bytes()).hexdigest() != file.sha256:
            found.append(f"{file.uri} is not what was put there")
    return found


def _of_one(batch: Ended) -> list[str]:
    found = []
    accepted = [attempt for attempt in batch.attempts if attempt.outcome == "C"]
    if len(accepted) != (batch.state == "C"):
        found.append(f"state {batch.state} with {len(accepted)} accepted finishes")
    if batch.state == "C" and batch.attempts:
        winner = batch.attempts[-1].fence
        if batch.fence != winner or accepted[-1:] != [batch.attempts[-1]]:
            found.append(f"the finish of a stale run was accepted: row at fence {batch.fence}")
    if any(a.fence >= b.fence for a, b in pairwise(batch.attempts)):
        found.append("the fence did not grow")
    if batch.attempts and max(a.attempt for a in batch.attempts) > batch.max_attempts:
        found.append(f"more than {batch.max_attempts} attempts")
    return found


def _of_results(batch: Ended) -> list[str]:
    """A no-op batch has one result and one file, both of the run that was accepted."""
    found = []
    if batch.state == "C" and batch.attempts:
        winner = batch.attempts[-1].fence
        if batch.result_fences != (winner,):
            found.append(f"results of fences {batch.result_fences}, finished by {winner}")
        if [file.fence for file in batch.files] != [winner]:
            found.append(f"files {batch.files}, finished by {winner}")
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


def _name(batch: Ended) -> str:
    return f"batch {batch.batch_id}:"
