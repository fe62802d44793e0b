"""What a database is and allows, for those who look after it; nothing here changes anything."""

from datetime import datetime

from sqlalchemy import Connection, Executable, column, delete, func, insert, select, table, update
from sqlalchemy.exc import DBAPIError

from storage.claimable import waits_for_retry
from storage.columns import utc_now
from storage.engine import error_number
from storage.grants import rights
from storage.migrate import VERSION_TABLE
from storage.schema import dc_batch, metadata
from storage.views import VIEWS

_REFUSED = (1142, 1143)


def version(connection: Connection) -> tuple[int, ...]:
    """MariaDB's or SQLite's."""
    found = connection.dialect.server_version_info
    return tuple(part for part in found or () if isinstance(part, int))


def variable(connection: Connection, *names: str) -> str | None:
    """The first of MariaDB's variables that exists, as this session has it."""
    for name in names:
        row = connection.exec_driver_sql("SHOW VARIABLES WHERE Variable_name = %s", (name,)).first()
        if row is not None:
            return str(row[1])
    return None


def clock(connection: Connection) -> datetime:
    """The database's time in UTC."""
    now = connection.scalar(select(utc_now()))
    return now if isinstance(now, datetime) else datetime.fromisoformat(str(now))


def refused(connection: Connection, role: str) -> list[str]:
    """What the role may do and this account may not: `UPDATE on dc_batch`.

    MariaDB checks rights before it looks for rows, so each is tried on no rows at all.
    """
    lines = []
    for name in (*metadata.tables, *VIEWS, VERSION_TABLE):
        lines += [
            f"{verb} on {name}"
            for verb in rights(role, name)
            if not _allowed(connection, verb, name)
        ]
    return lines


def waiting(connection: Connection) -> int:
    """How many batches wait, for the first time or again."""
    waits = (dc_batch.c.state == "I") | waits_for_retry
    return connection.scalar(select(func.count()).select_from(dc_batch).where(waits)) or 0


def _allowed(connection: Connection, verb: str, name: str) -> bool:
    known = metadata.tables.get(name)
    target = table(name, column("version_num")) if known is None else known
    never = func.length("") > 0
    first = next(iter(target.c))
    statements: dict[str, Executable] = {
        "SELECT": select(first).where(never),
        "INSERT": insert(target).from_select([first.name], select(first).where(never)),
        "UPDATE": update(target).values({first.name: first}).where(never),
        "DELETE": delete(target).where(never),
    }
    try:
        connection.execute(statements[verb])
    except DBAPIError as error:
        if error_number(error) in _REFUSED:
            return False
        raise
    return True
