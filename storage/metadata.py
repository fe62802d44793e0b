"""What all tables share. The tables are in batch_, model_, ensemble_ and server_schema.py."""

from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, MetaData, Table, and_
from sqlalchemy.schema import SchemaItem

from configs.metric_names import COUNTS
from storage.columns import big_id, number

metadata = MetaData()

VERSION_TABLE = "dc_schema_version"
"""Alembic's own; here, so that who asks for its name alone need not import Alembic."""

MODEL_KEY = ("batch_id", "model_no", "model_sub_no")
"""The columns that name a model, in every table that has models."""


def same_model(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Rows of the two are of one model."""
    return and_(*(one.c[name] == other.c[name] for name in MODEL_KEY))


def metric_columns(names: tuple[str, ...]) -> list[Column[Any]]:
    """The counts and the named metrics; NULL where a metric is undefined."""
    return [Column(name, big_id()) for name in COUNTS] + [Column(name, number()) for name in names]


def table(name: str, *parts: SchemaItem, **options: Any) -> Table:
    """A table of ours; its columns and constraints are `parts`."""
    return Table(
        name,
        metadata,
        *parts,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        # Named because its default differs between versions of MariaDB. Comparing bytes is what
        # SQLite does too, and mixes with any collation that an operator's own table has.
        mariadb_collate="utf8mb4_bin",
        **options,
    )
