"""Finished ranges of ensembles, while a batch searches.

As in results.py, writers are called in a transaction that holds the batch.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from storage.records import Record
from storage.schema import dc_ensemble_range


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRange(Record):
    """Ensembles first_no to last_no, both included, are counted; what came of it is in a file."""

    first_no: int
    last_no: int
    fence: int
    fingerprint: str
    uri: str
    sha256: str
    bytes: int


def put(connection: Connection, batch_id: int, finished: FinishedRange) -> None:
    """Replace what overlaps with it by a finished range."""
    table = dc_ensemble_range.c
    connection.execute(
        delete(dc_ensemble_range).where(
            table.batch_id == batch_id,
            table.first_no <= finished.last_no,
            table.last_no >= finished.first_no,
        )
    )
    connection.execute(insert(dc_ensemble_range).values(batch_id=batch_id, **asdict(finished)))


def read(connection: Connection, batch_id: int) -> tuple[FinishedRange, ...]:
    """The finished ranges of a batch, whatever their fingerprint, from the first."""
    rows = connection.execute(
        select(dc_ensemble_range)
        .where(dc_ensemble_range.c.batch_id == batch_id)
        .order_by(dc_ensemble_range.c.first_no)
    )
    return tuple(map(FinishedRange.from_row, rows))


def keep(connection: Connection, batch_id: int, kept: Iterable[FinishedRange]) -> None:
    """Forget every range of a batch but these."""
    table = dc_ensemble_range.c
    connection.execute(
        delete(dc_ensemble_range).where(
            table.batch_id == batch_id, table.first_no.not_in([each.first_no for each in kept])
        )
    )
