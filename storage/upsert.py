"""Writing a row whether it is there or not."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, update
from sqlalchemy.exc import IntegrityError


def upsert(
    connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Write a row whether it is there or not, in SQL that every database has; of columns not named
    one that is there keeps its values.
    """
    same = (table.c[name] == value for name, value in key.items())
    change = update(table).where(*same).values(values)
    if connection.execute(change).rowcount:
        return
    try:
        connection.execute(insert(table).values({**key, **values}))
    except IntegrityError:
        # Somebody else was faster to insert it, else the values are at fault.
        if not connection.execute(change).rowcount:
            raise
