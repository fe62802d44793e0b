"""Connections: isolation, timeouts, transactions that repeat when they must."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from configs.errors import BadSetting, DatabaseRefused, DatabaseUnavailable
from configs.settings import Settings

T = TypeVar("T")

_ATTEMPTS = 5
# Snapshot changed, lock wait timeout, deadlock: roll back and do it again.
_REPEAT = frozenset({1020, 1205, 1213})
# Wrong user or password, host not allowed, no such database, no privilege.
_REFUSED = frozenset({1044, 1045, 1049, 1130, 1142, 1143, 1227, 1698})
_READ_TIMEOUT_SECONDS = 60


def make_engine(settings: Settings, *, autocommit: bool = False) -> Engine:
    """An engine for MariaDB or SQLite; connects lazily.

    With `autocommit` (MariaDB alone) a read costs the server one statement, with no COMMIT or
    ROLLBACK after it: for what is asked again and again.

    Raises:
        BadSetting: the URL is malformed or names another database.
    """
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        raise BadSetting(
            "database_url is not a URL; for example mariadb+pymysql://user@host/database"
        ) from None
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.drivername in ("mariadb+pymysql", "mysql+pymysql"):
        password = settings.database_password
        url = url.set(password=password.get_secret_value() if password else None)
        return _mariadb(url, "AUTOCOMMIT" if autocommit else "READ COMMITTED")
    raise BadSetting(
        f"database_url: {url.drivername} is not supported; "
        "use mariadb+pymysql://user@host/database or sqlite:///path"
    )


def _mariadb(url: URL, isolation: Literal["AUTOCOMMIT", "READ COMMITTED"]) -> Engine:
    try:
        engine = create_engine(
            url.set(drivername="mariadb+pymysql"),
            isolation_level=isolation,
            skip_autocommit_rollback=True,
            pool_pre_ping=True,
            pool_recycle=300,
            hide_parameters=True,
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": 10,
                "read_timeout": _READ_TIMEOUT_SECONDS,
                "write_timeout": _READ_TIMEOUT_SECONDS,
                "init_command": (
                    "SET SESSION innodb_lock_wait_timeout=5, wait_timeout=600, time_zone='+00:00'"
                ),
            },
        )
    except NoSuchModuleError as error:
        raise BadSetting(f"database_url: {error}") from error
    return engine


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A plain BEGIN that reads and then writes fails at once when another writer was faster,
        # and no timeout helps; IMMEDIATE waits for the one write lock before it reads.
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reads alone; on SQLite it does not wait for a writer."""
    with naming_errors(), engine.connect() as connection:
        yield connection.execution_options(sqlite_begin="DEFERRED")


def transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction; repeat it after a deadlock, lock timeout or lost snapshot.

    `work` may run several times, so it must do nothing but talk to the database.

    Raises:
        DatabaseUnavailable: no connection, or it broke; whether COMMIT arrived is then unknown.
        DatabaseRefused: the database knows us and says no.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with naming_errors(), engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            if error_number(error) not in _REPEAT or attempt == _ATTEMPTS:
                raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
    raise AssertionError("unreachable")


@contextmanager
def naming_errors() -> Iterator[None]:
    """Turn the driver's errors of connection and privilege into ours."""
    try:
        yield
    except DBAPIError as error:
        number = error_number(error)
        reason = _reason(error)
        if number in _REFUSED:
            raise DatabaseRefused(
                f"the database refused us: {reason}; check DEEPCREDIT_DATABASE_URL, the password "
                "and `deepcredit db grants`"
            ) from error
        if error.connection_invalidated or is_disconnect(error):
            raise DatabaseUnavailable(f"the database does not answer: {reason}") from error
        raise


def is_disconnect(error: DBAPIError) -> bool:
    """Whether the connection was lost, so that the fate of the last statement is unknown."""
    number = error_number(error)
    return number in (0, 1053, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031) or (
        "unable to open database file" in str(error.orig)
    )


def error_number(error: DBAPIError) -> int | None:
    """MariaDB's error number; None for SQLite."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _reason(error: DBAPIError) -> str:
    args = getattr(error.orig, "args", ())
    return str(args[-1]) if args else type(error.orig).__name__
