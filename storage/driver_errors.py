"""What the drivers' errors mean: in words, as errors of ours, and whether to try again."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from pymysql.err import InternalError
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, ProgrammingError

from configs.errors import (
    BadParameter,
    DatabaseRefused,
    DatabaseUnavailable,
    LoginRefused,
    WrongSchema,
)
from storage.grants import role_for

_LOCK_WAIT = 1205
_OUT_OF_RANGE = 1690
# Snapshot changed, lock wait timeout, deadlock: roll back and do it again.
REPEAT = frozenset({1020, _LOCK_WAIT, 1213})
_NO_ACCESS = 1044  # to a database, which the server also says of one that is not there
# Wrong user or password, host not allowed, password expired (twice), account locked.
_LOGIN = frozenset({1045, 1698, 1130, 1820, 1862, 4151})
_NO_RIGHT = frozenset({_NO_ACCESS, 1142, 1143})  # to what is in a database, to a table, a column
_REFUSED = _LOGIN | _NO_RIGHT | {1049, 1227}  # no such database, no privilege
# A node that has left its cluster, a server that is read-only, as one that became a replica.
_RETIRED = frozenset({1047, 1290, 1836})
# Too many connections, a host that is blocked, a full disk, a query that was ended (killed, or too
# long), transactions that are read-only, or a server that kept us from our turn until `transaction`
# gave up.
_BUSY = REPEAT | _RETIRED | {1021, 1040, 1114, 1129, 1203, 1226, 1317, 1792, 1969}
_MISSING = frozenset({1054, 1146})  # a column, a table
_DENIED = re.compile(r"([A-Z, ]+) command denied to .* table .*[`'](\w+)[`']$")
_LOST = frozenset({0, 1053, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031})
_SQLITE_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_AUTH})
_SQLITE_BUSY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
    }
)


def is_locked(error: DBAPIError) -> bool:
    """Whether a statement gave up waiting for a lock; what came before it still stands."""
    return error_number(error) == _LOCK_WAIT


def is_out_of_range(error: DBAPIError) -> bool:
    """Whether a number would have grown beyond what there is, as a fence that was set by hand."""
    return error_number(error) == _OUT_OF_RANGE


def lacks_right(error: DBAPIError) -> bool:
    """Whether a statement needs a right that this account has not."""
    return error_number(error) in _NO_RIGHT


def is_missing(error: DBAPIError) -> bool:
    """Whether a statement names a table or a column that is not there."""
    return error_number(error) in _MISSING or reason_of(error).startswith(
        ("no such table", "no such column")
    )


@contextmanager
def naming_errors() -> Iterator[None]:
    """Turn the driver's errors of connection and privilege into ours."""
    try:
        yield
    except DBAPIError as error:
        reason = reason_of(error)
        if error_number(error) == _NO_ACCESS:
            reason += ", or there is no such database"
        if error_number(error) in _REFUSED or _sqlite_code(error) in _SQLITE_REFUSED:
            refusal = LoginRefused if error_number(error) in _LOGIN else DatabaseRefused
            raise refusal(f"the database refused us: {reason}; {_mending(reason)}") from error
        if error_number(error) in _BUSY or _sqlite_code(error) in _SQLITE_BUSY:
            raise DatabaseUnavailable(f"the database cannot serve us now: {reason}") from error
        if error.connection_invalidated or is_disconnect(error):
            raise DatabaseUnavailable(
                f"the database does not answer: {reason}; if it runs, look at its host and port in "
                "DEEPCREDIT_DATABASE_URL"
            ) from error
        raise


def _mending(reason: str) -> str:
    denied = _DENIED.match(reason)
    if denied is None:
        return (
            "check the setting database_url, its password (DEEPCREDIT_DATABASE_PASSWORD, or _FILE) "
            "and `deepcredit db grants`"
        )
    role = role_for(denied[1].split(", "), denied[2])
    if role is None:
        return "`deepcredit db grants` prints what each role may do"
    name = role.removeprefix("deepcredit_")
    return f"`deepcredit doctor --role {name}` says what gives this account the right"


@contextmanager
def naming_lack_of_rights(what: str) -> Iterator[None]:
    """Say that `what` takes more rights than any role has. For those who are connected already."""
    try:
        yield
    except DBAPIError as error:
        if lacks_right(error):
            raise DatabaseRefused(
                f"{what} needs an account that may CREATE tables; the database refused us: "
                f"{reason_of(error)}"
            ) from error
        raise


@contextmanager
def naming_old_schema(engine: Engine) -> Iterator[None]:
    """Say what to do about a table or column that is not there."""
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        if is_missing(error):
            text = reason_of(error) if _has_tables(engine) else "the database has no tables yet"
            raise WrongSchema(f"{text}; run `deepcredit db upgrade` first") from error
        raise


@contextmanager
def naming_bad_values() -> Iterator[None]:
    """Say which column a value does not fit that a person has given."""
    try:
        yield
    except DataError as error:
        reason = reason_of(error).removesuffix(" at row 1")
        raise BadParameter(f"the database does not take a value: {reason}") from error
    except OverflowError as error:  # of SQLite's driver
        raise BadParameter(
            f"the database does not take a value: numbers of SQLite end at {2**63 - 1}"
        ) from error


def _has_tables(engine: Engine) -> bool:
    with naming_errors():
        return inspect(engine).has_table("dc_batch")


def is_disconnect(error: DBAPIError) -> bool:
    """Whether the connection was lost, so that the fate of the last statement is unknown."""
    if isinstance(error.orig, InternalError) and error_number(error) is None:
        return True  # PyMySQL lost count of the packets, as after a read that was interrupted
    return error_number(error) in _LOST


def is_retired(error: BaseException | None) -> bool:
    """Whether a server will not write any more, and another may, at the same address."""
    return isinstance(error, DBAPIError) and error_number(error) in _RETIRED


def stayed_locked(error: Exception) -> bool:
    """Whether it was raised because another transaction would not let go of a row."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and error_number(cause) == _LOCK_WAIT


def error_number(error: DBAPIError) -> int | None:
    """MariaDB's error number; None for SQLite."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _sqlite_code(error: DBAPIError) -> int | None:
    """SQLite's primary result code; None for MariaDB."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def reason_of(error: DBAPIError) -> str:
    """What the database said, without its number."""
    args = getattr(error.orig, "args", ())
    return str(args[-1]) if args else type(error.orig).__name__
