"""What all tables share. The tables are in batch_, model_, ensemble_ and server_schema.py."""

from typing import Any

from sqlalchemy import Column, MetaData

from configs.metric_names import COUNTS
from storage.columns import big_id, number

metadata = MetaData()

VERSION_TABLE = "dc_schema_version"
"""Alembic's own; here, so that who asks for its name alone need not import Alembic."""

# The collation is named because its default differs between versions of MariaDB. Comparing bytes is
# what SQLite does too, and mixes with any collation that an operator's own table has.
INNODB: dict[str, Any] = {
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def metric_columns(names: tuple[str, ...]) -> list[Column[Any]]:
    """The counts and the named metrics; NULL where a metric is undefined."""
    return [Column(name, big_id()) for name in COUNTS] + [Column(name, number()) for name in names]
