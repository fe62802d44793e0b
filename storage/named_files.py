"""Which files of the model store the database names, and which runs may be writing some."""

from sqlalchemy import Connection, exists, select

from storage.schema import dc_batch, metadata

URI_COLUMNS = tuple(
    column
    for table in metadata.sorted_tables
    for column in table.columns
    if column.name == "uri" or column.name.endswith("_uri")
)
"""Every column of ours that names a file."""


def uris(connection: Connection) -> frozenset[str]:
    """All of them; a few bytes for each model and each prediction."""
    found: set[str] = set()
    for column in URI_COLUMNS:
        found.update(connection.scalars(select(column).distinct().where(column.is_not(None))))
    return frozenset(found)


def running(connection: Connection) -> dict[int, int]:
    """The fence of every batch in U: what it writes bears it."""
    rows = connection.execute(
        select(dc_batch.c.batch_id, dc_batch.c.fence).where(dc_batch.c.state == "U")
    )
    return {int(batch_id): int(fence) for batch_id, fence in rows}


def is_named(connection: Connection, uri: str) -> bool:
    """Whether a column names this file; it reads every table that may."""
    return any(connection.scalar(select(exists().where(column == uri))) for column in URI_COLUMNS)
