"""How a live database differs from the schema in the code, down to defaults and expressions.

Both are put into the database's own words before they are compared, so that nothing is overlooked
because a tool does not know it: on MariaDB the schema of the code is created as temporary tables
and views of the moment, on SQLite in memory.
"""

import re
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, MetaData, Table, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from storage.driver_errors import is_missing
from storage.schema import metadata
from storage.views import VIEWS, create_view

_PROBE = "dc_drift_probe"


Comparison = tuple[str, set[str] | None, set[str]]
"""Name, what is live, what the code says."""


def differences(connection: Connection) -> list[str]:
    """A line each; none: the schema is that of the code. Tables not ours are not looked at.

    Views are compared once the tables agree, because until then those of the code may be
    impossible. On MariaDB this needs the rights to create temporary tables and views.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    tables, views = _sqlite(connection) if on_sqlite else _mariadb(connection)
    return _lines(tables) or _lines(views)


def _lines(comparisons: Iterable[Comparison]) -> list[str]:
    lines = []
    for name, live, code in comparisons:
        if live is None:
            lines.append(f"{name} is missing")
            continue
        lines += [f"{name} lacks: {part}" for part in sorted(code - live)]
        lines += [f"{name} has, and the code has not: {part}" for part in sorted(live - code)]
    return lines


def _mariadb(connection: Connection) -> tuple[Iterator[Comparison], Iterator[Comparison]]:
    tables = (
        (table.name, _shown(connection, table.name), _probed(connection, table))
        for table in metadata.sorted_tables
    )
    views = ((name, _definition(connection, name), _redefined(connection, name)) for name in VIEWS)
    return tables, views


def _shown(connection: Connection, name: str) -> set[str] | None:
    try:
        sql: str = connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]
    except DBAPIError as error:
        if is_missing(error):
            return None
        raise
    _, *parts = re.sub(r" AUTO_INCREMENT=\d+", "", sql).splitlines()
    return {part.strip().rstrip(",") for part in parts}


def _probed(connection: Connection, table: Table) -> set[str]:
    probe = table.to_metadata(MetaData(), name=_PROBE)
    create = str(CreateTable(probe).compile(dialect=connection.dialect)).strip()
    connection.exec_driver_sql(create.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
    for index in probe.indexes:
        connection.execute(CreateIndex(index))
    shown = _shown(connection, _PROBE)
    connection.exec_driver_sql(f"DROP TEMPORARY TABLE {_PROBE}")
    assert shown is not None
    return shown


def _definition(connection: Connection, view: str) -> set[str] | None:
    row = connection.execute(
        text(
            "SELECT view_definition, security_type FROM information_schema.views"
            " WHERE table_schema = DATABASE() AND table_name = :view"
        ),
        {"view": view},
    ).one_or_none()
    return None if row is None else {row[0], f"SQL SECURITY {row[1]}"}


def _redefined(connection: Connection, view: str) -> set[str]:
    # A name of its own: a view is seen by all, and somebody else may compare at this moment.
    probe = f"{_PROBE}_{connection.scalar(text('SELECT CONNECTION_ID()'))}"
    connection.exec_driver_sql(create_view(view, connection.dialect, probe))
    defined = _definition(connection, probe)
    connection.exec_driver_sql(f"DROP VIEW {probe}")
    assert defined is not None
    return defined


def _sqlite(connection: Connection) -> tuple[list[Comparison], list[Comparison]]:
    memory = create_engine("sqlite://")
    with memory.begin() as own:
        metadata.create_all(own)
        for name in VIEWS:
            own.exec_driver_sql(create_view(name, own.dialect))
        tables, views = (
            [(name, _stored(connection, name), _stored(own, name) or set()) for name in names]
            for names in (metadata.tables, VIEWS)
        )
    memory.dispose()
    return tables, views


def _stored(connection: Connection, name: str) -> set[str] | None:
    rows = connection.execute(
        text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND sql IS NOT NULL"),
        {"name": name},
    )
    parts = {part for (sql,) in rows for part in _parts(sql)}
    return parts or None


def _parts(sql: str) -> list[str]:
    """A CREATE TABLE cut at the commas of its own level; any other statement whole."""
    sql = re.sub(r"\s+", " ", sql)
    if not sql.startswith("CREATE TABLE"):
        return [sql]
    parts, depth = [""], 0
    for letter in sql[sql.index("(") + 1 : sql.rindex(")")]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
