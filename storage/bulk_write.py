"""Many rows at once: LOAD DATA LOCAL on MariaDB, five times as fast as INSERT; else INSERT."""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import OperationalError

from configs.errors import BadData
from storage.driver_errors import error_number

_ROWS, _CELLS = 20_000, 500_000  # at once, as text or Python's objects
_LOCAL_REFUSED = frozenset({1148, 2061, 3948, 4166})


def fill(
    connection: Connection,
    target: Table,
    data: pa.Table,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Insert `data`, whose columns are named as those of `target`; best they are in one piece each.
    Where local files are refused, and on SQLite, rows go by INSERT. `progress` is called with the
    share done.

    Raises:
        BadData: the database does not take a value as it is.
    """
    local = connection.dialect.name != "sqlite"
    done = 0
    for batch in _chunks(data):
        if local:
            try:
                _load_local(connection, target, batch)
            except OperationalError as error:
                if error_number(error) not in _LOCAL_REFUSED:
                    raise
                local = False
        if not local:
            _insert(connection, target, batch)
        done += len(batch)
        progress(done / data.num_rows)


def _chunks(data: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from data.to_batches(max_chunksize=min(_ROWS, _CELLS // data.num_columns))


def _insert(connection: Connection, target: Table, batch: pa.RecordBatch) -> None:
    named = set(batch.schema.names)
    there = [column.name for column in target.columns if column.name in named]
    # By position: names of parameters made from names of columns would have to be escaped.
    style = "qmark" if connection.dialect.name == "sqlite" else "format"
    make_dialect: Any = type(connection.dialect)
    statement = insert(target).compile(dialect=make_dialect(paramstyle=style), column_keys=there)
    columns = [batch.column(name).to_pylist() for name in there]
    connection.exec_driver_sql(str(statement), list(zip(*columns, strict=True)))


def _load_local(connection: Connection, target: Table, batch: pa.RecordBatch) -> None:
    """LOAD DATA turns errors into warnings, so any warning is an error here."""
    lines = pc.binary_join_element_wise(*map(_escaped, batch.columns), "\t")
    whole = pa.ListArray.from_arrays([0, len(lines)], lines)
    preparer = connection.dialect.identifier_preparer
    into = preparer.format_table(target)
    columns = ", ".join(map(preparer.quote_identifier, batch.schema.names))
    with tempfile.TemporaryFile() as file:  # without a name it goes with us, however we end
        file.write(pc.binary_join(whole, "\n")[0].as_buffer())
        file.write(b"\n")
        file.seek(0)
        connection.exec_driver_sql(
            f"LOAD DATA LOCAL INFILE %s INTO TABLE {into} CHARACTER SET utf8mb4 ({columns})",
            (f"/dev/fd/{file.fileno()}",),
        )
    warnings = connection.exec_driver_sql("SHOW WARNINGS LIMIT 1").fetchall()
    if warnings:
        raise BadData(f"the database did not take the rows as they are: {warnings[0][-1]}")


def _escaped(values: pa.Array) -> pa.Array:
    r"""As LOAD DATA reads it by default: tabs between, \ before what is special, \N for NULL."""
    if not pa.types.is_string(values.type):
        return pc.fill_null(values.cast(pa.string()), "\\N")
    for special, escaped in (
        ("\\", "\\\\"),
        ("\t", "\\t"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\0", "\\0"),
    ):
        values = pc.replace_substring(values, special, escaped)
    return pc.fill_null(values, "\\N")
