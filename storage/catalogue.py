"""The columns of tables and views, as the database describes them."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, column, func, select, table

from configs.errors import NotFound

_DIGITS = 15  # that every double holds


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as the database describes it; `data_type` is empty on SQLite, which types values."""

    name: str
    data_type: str = ""
    long: bool = False
    """Whether it has whole numbers of more digits than a double or an int64 holds."""


def columns_of(connection: Connection, table_name: str) -> tuple[TableColumn, ...]:
    """The columns of a table or view, in its own order.

    Raises:
        NotFound: there is no such table or view.
    """
    if connection.dialect.name == "sqlite":
        found = func.pragma_table_info(table_name).table_valued("name", "cid")
        rows = connection.execute(select(found.c.name).order_by(found.c.cid))
        columns = tuple(TableColumn(name) for (name,) in rows)
    else:
        names = ("column_name", "data_type", "column_type", "ordinal_position", "table_schema")
        catalogue = table(
            "columns", column("table_name"), *map(column, names), schema="information_schema"
        )
        question = (
            select(catalogue.c.column_name, catalogue.c.data_type, catalogue.c.column_type)
            .where(
                catalogue.c.table_schema == func.database(), catalogue.c.table_name == table_name
            )
            .order_by(catalogue.c.ordinal_position)
        )
        columns = tuple(
            TableColumn(name, kind.lower(), _is_long(full.lower()))
            for name, kind, full in connection.execute(question)
        )
    if not columns:
        raise NotFound(
            f"there is no table or view {table_name!r} in the database, or this account may not "
            "read it"
        )
    return columns


def _is_long(full_type: str) -> bool:
    whole = re.match(r"decimal\((\d+),0\)", full_type)
    if whole:
        return int(whole[1]) > _DIGITS
    return full_type.startswith("bigint") and "unsigned" in full_type
