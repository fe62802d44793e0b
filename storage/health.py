"""What a database is and allows, for those who look after it; nothing here changes anything."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, Executable, delete, func, insert, select, table, update
from sqlalchemy.exc import DBAPIError

from configs.errors import DatabaseRefused
from storage.columns import utc_now
from storage.driver_errors import lacks_right
from storage.grants import how_to_give, rights
from storage.metadata import VERSION_TABLE
from storage.schema import metadata
from storage.views import VIEWS

_ALL = sorted((*metadata.tables, *VIEWS, VERSION_TABLE))
_FEW = 6


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
    return connection.execute(select(utc_now())).scalar_one()


def lacking(connection: Connection, role: str, names: Iterable[str] = _ALL) -> str | None:
    """What the role may do with these tables and this account may not, and what gives it the right;
    None: it may do all that.
    """
    missing = _refused(connection, role, names)
    if not missing:
        return None
    user, _, host = str(connection.scalar(func.current_user())).rpartition("@")
    account = f"'{user}'@'{host}'"
    first = ", ".join(missing[:_FEW]) + (" and more" if len(missing) > _FEW else "")
    return (
        f"the database account {account} lacks {first}; an administrator runs what `deepcredit db "
        f"grants` prints, and then: {'; '.join(how_to_give(role, account))};"
    )


def _refused(connection: Connection, role: str, names: Iterable[str]) -> list[str]:
    """A line a table: `INSERT, UPDATE on dc_batch`.

    MariaDB checks rights before it looks for rows, so each is tried on no rows at all.
    """
    found = {
        name: [verb for verb in rights(role, name) if not _allowed(connection, verb, name)]
        for name in names
    }
    return [f"{', '.join(verbs)} on {name}" for name, verbs in found.items() if verbs]


def require_rights(connection: Connection, role: str) -> None:
    """Views are for people, and not tried. The transaction should be rolled back.

    Raises:
        DatabaseRefused: this account may not do with our tables what the role must.
    """
    if connection.dialect.name == "sqlite":  # it has no accounts
        return
    if lack := lacking(connection, role, sorted(metadata.tables)):
        raise DatabaseRefused(lack)


def _allowed(connection: Connection, verb: str, name: str) -> bool:
    try:
        connection.execute(_on_no_rows(verb, name))
    except DBAPIError as error:
        if lacks_right(error):
            return False
        raise
    return True


def _on_no_rows(verb: str, name: str) -> Executable:
    never = func.length("") > 0
    if verb == "SELECT":
        return select(func.count()).select_from(table(name)).where(never)
    target = metadata.tables[name]
    given = [part for part in target.c if part.computed is None]
    match verb:
        case "INSERT":
            names = [part.name for part in given]
            return insert(target).from_select(names, select(*given).where(never))
        case "UPDATE":
            return update(target).values({given[0].name: given[0]}).where(never)
        case "DELETE":
            return delete(target).where(never)
    raise ValueError(verb)
