"""Columns that a revision adds to a table there is."""

import sqlalchemy as sa
from alembic import op


def add(table: str, *columns: sa.Column) -> None:
    """Add those that are not there: MariaDB commits every change by itself, so a revision that was
    interrupted has made some of them and runs again.
    """
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in there:
            op.add_column(table, column)
