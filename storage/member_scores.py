"""Scores of an ensemble's members on the rows of a predict batch, as they are finished.

As in results.py, writers are called in a transaction that holds the batch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from storage.records import ModelName, Record
from storage.schema import dc_ensemble_score


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberScores(Record):
    """Where a member's scores on the rows of a predict batch are."""

    model_batch_id: int
    model_no: int
    model_sub_no: int
    fence: int
    fingerprint: str
    uri: str
    sha256: str
    bytes: int

    @property
    def name(self) -> ModelName:
        return self.model_batch_id, self.model_no, self.model_sub_no


def put(connection: Connection, batch_id: int, scores: MemberScores) -> None:
    """Replace a member's scores on the rows of a predict batch."""
    table = dc_ensemble_score.c
    connection.execute(
        delete(dc_ensemble_score).where(
            table.batch_id == batch_id,
            table.model_batch_id == scores.model_batch_id,
            table.model_no == scores.model_no,
            table.model_sub_no == scores.model_sub_no,
        )
    )
    connection.execute(insert(dc_ensemble_score).values(batch_id=batch_id, **asdict(scores)))


def keep_matching(
    connection: Connection, batch_id: int, wanted: Mapping[ModelName, str]
) -> tuple[MemberScores, ...]:
    """Forget the scores that earlier runs left, except those whose fingerprint is wanted."""
    table = dc_ensemble_score
    rows = connection.execute(select(table).where(table.c.batch_id == batch_id))
    found = tuple(map(MemberScores.from_row, rows))
    kept = tuple(each for each in found if wanted.get(each.name) == each.fingerprint)
    if len(kept) < len(found):
        connection.execute(delete(table).where(table.c.batch_id == batch_id))
        for each in kept:
            put(connection, batch_id, each)
    return kept
