"""Writing the tables of data sets: a whole one is left, or none."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Engine,
    MetaData,
    String,
    Table,
    inspect,
    quoted_name,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable, DropTable
from sqlalchemy.types import TypeEngine

from configs.errors import BadData, DeepCreditError
from storage.bulk_engine import bulk_engine
from storage.bulk_write import fill
from storage.columns import long_text
from storage.driver_errors import error_number, naming_errors, naming_lack_of_rights, reason_of
from storage.engine import changing_tables
from storage.table_names import check_names, order_column_for

_VARCHAR = 255
# MariaDB counts 4 bytes a character of every VARCHAR towards a row of 65,535; TEXT counts 12.
_VARCHAR_BUDGET = 12_000
_TOO_LONG = 1118  # a row, of the table's definition or of its data
# No column, no such name, duplicate name, too many columns.
_BAD_TABLE = frozenset({1059, 1060, 1074, 1103, 1113, 1117, 1166})


class TableExists(BadData):
    """A table of that name is there already."""


def _silent(_share: float) -> None:
    """For callers that show no progress."""


def write(
    engine: Engine, name: str, data: pa.Table, progress: Callable[[float], None] = _silent
) -> str:
    """Create table `name` and fill it with `data` (int64, float64, string) and a column of row
    numbers from 1, whose name is returned. Committed when it returns; on any error no table
    is left behind. `progress` is called with the share done.

    Raises:
        TableExists: the table is there already; it is left alone.
        BadData: a column's name cannot be stored, or a row is too long.
        DatabaseRefused: this account may not create tables.
    """
    check_names(data.column_names, f"table {name!r}")
    order_column = order_column_for(data.column_names)
    numbers = pa.array(range(1, data.num_rows + 1), pa.int64())
    data = data.add_column(0, order_column, numbers)
    target = _described(name, data)
    with naming_errors(), naming_lack_of_rights("loading data"):
        try:
            _check_free(engine, name)
            _create_and_fill(engine, target, data, progress)
        except DBAPIError as error:
            _check_free(engine, name)  # whoever made it meanwhile made ours fail
            if error_number(error) == _TOO_LONG:
                raise BadData(_too_long(data)) from error
            if error_number(error) in _BAD_TABLE:
                raise BadData(
                    f"the database cannot hold such a table: {reason_of(error)}"
                ) from error
            raise
    return order_column


def _too_long(data: pa.Table) -> str:
    """InnoDB's limit is half a page, less what it notes of the row and of each column."""
    texts = sum(pa.types.is_string(kind) for kind in data.schema.types)
    numbers = data.num_columns - texts - 1  # without the row numbers
    return (
        f"a row of {numbers} numbers and {texts} texts is too long for the database: it holds some "
        "8,000 bytes, 8 for a number, up to 42 for a text, none for a missing value, as in 980 "
        "numbers or 190 texts; leave columns out with --drop"
    )


def drop(engine: Engine, name: str) -> None:
    """Drop a table that `write` made; one that is not there is no error. Raises as
    `changing_tables`.
    """
    with naming_errors(), engine.begin() as connection, changing_tables(connection):
        connection.execute(DropTable(Table(name, MetaData()), if_exists=True))


def _check_free(engine: Engine, name: str) -> None:
    if inspect(engine).has_table(name):
        raise TableExists(f"there is a table {name!r} already; drop it or choose another version")


def _described(name: str, data: pa.Table) -> Table:
    columns = []
    budget = _VARCHAR_BUDGET
    for number, field in enumerate(data.schema):
        kind: TypeEngine[Any]
        if pa.types.is_integer(field.type):
            kind = BigInteger()
        elif pa.types.is_floating(field.type):
            kind = Double()
        else:
            longest = max(1, pc.max(pc.utf8_length(data.column(number))).as_py() or 1)
            short = longest <= min(_VARCHAR, budget)
            budget -= longest if short else 0
            kind = String(longest) if short else long_text()
        columns.append(
            Column(
                # SQLAlchemy knows most reserved words, not all.
                quoted_name(field.name, quote=True),
                kind,
                primary_key=number == 0,
                autoincrement=False,
                nullable=number > 0,
            )
        )
    return Table(
        name,
        MetaData(),
        *columns,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
    )


def _create_and_fill(
    engine: Engine, target: Table, data: pa.Table, progress: Callable[[float], None]
) -> None:
    created = False
    try:
        with bulk_engine(engine).begin() as connection:
            connection.execute(CreateTable(target))
            created = True
            fill(connection, target, data, progress)
    except BaseException:
        # SQLite took CREATE back with the rest; MariaDB committed it at once. What made us fail
        # says more than a failure to tidy up.
        if created:
            with suppress(DeepCreditError, DBAPIError):
                drop(engine, target.name)
        raise
