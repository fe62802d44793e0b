"""Tables of data sets: their names, and writes that leave a whole table or none."""

import hashlib
import re
from collections.abc import Callable, Sequence
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
from storage.bulk_write import bulk_engine, fill
from storage.columns import long_text
from storage.driver_errors import error_number, naming_errors, naming_lack_of_rights, reason_of
from storage.engine import changing_tables

PREFIX = "dc_data_"
ORDER_COLUMN = "dc_row_no"
MAX_COLUMNS = 1000
MAX_NAME = 64

_VARCHAR = 255
# MariaDB counts 4 bytes a character of every VARCHAR towards a row of 65,535; TEXT counts 12.
_VARCHAR_BUDGET = 12_000
_TOO_LONG = 1118  # a row, of the table's definition or of its data
# No column, no such name, duplicate name, too many columns.
_BAD_TABLE = frozenset({1059, 1060, 1074, 1103, 1113, 1117, 1166})


class TableExists(BadData):
    """A table of that name is there already."""


def table_name(group: str, version: int) -> str:
    """A name of plain characters that says which data set it holds."""
    slug = re.sub(r"[^a-z0-9]+", "_", group.lower()).strip("_")[:30]
    if slug != group.lower():
        slug = f"{slug}_{hashlib.sha256(group.encode()).hexdigest()[:8]}".lstrip("_")
    return f"{PREFIX}{slug}_{version}"


def check_names(names: Sequence[str], where: str) -> None:
    """Raise BadData for names that MariaDB cannot have as columns, saying which and why."""
    if len(names) > MAX_COLUMNS:
        raise BadData(
            f"{where}: {len(names)} columns are too many; at most {MAX_COLUMNS} can be stored"
        )
    seen: dict[str, str] = {}
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise BadData(f"{where}: column {position} has no name; give it one in the header")
        reason = _unusable(name)
        if reason:
            raise BadData(f"{where}: column {position}, {name!r:.80}, {reason}; rename it")
        folded = name.casefold()
        if folded in seen:
            raise BadData(
                f"{where}: columns {seen[folded]!r} and {name!r} have the same name (case does "
                "not count); rename one"
            )
        seen[folded] = name


def _unusable(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if name.endswith(" "):
        return "ends in a space"
    if "\0" in name or any(ord(character) > 0xFFFF for character in name):
        return "holds a character that no column name can have"
    return ""


def _silent(_share: float) -> None:
    """For callers that show no progress."""


def order_column_for(names: Sequence[str]) -> str:
    """A name for the column of row numbers that no column of the data has."""
    taken = {name.casefold() for name in names}
    name, number = ORDER_COLUMN, 1
    while name in taken:
        number += 1
        name = f"{ORDER_COLUMN}_{number}"
    return name


def is_order_column(name: str) -> bool:
    """Whether `order_column_for` gives such a name."""
    return re.fullmatch(rf"{ORDER_COLUMN}(_\d+)?", name) is not None


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
