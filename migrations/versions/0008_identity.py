"""An id of the database, which is the mark of its model store."""

from uuid import uuid4

from alembic import op
from sqlalchemy import Column, select

from storage.columns import code

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # MariaDB commits every step by itself: what an interrupted run has made is passed over.
    table = op.create_table(
        "dc_identity",
        Column("database_id", code(32), primary_key=True),
        if_not_exists=True,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )
    if op.get_bind().scalar(select(table.c.database_id)) is None:
        op.bulk_insert(table, [{"database_id": uuid4().hex}])
