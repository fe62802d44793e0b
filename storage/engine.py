"""Connections: isolation, timeouts, transactions that repeat when they must."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from configs.errors import BadSetting, DatabaseRefused, DatabaseUnavailable, WrongSchema
from configs.settings import Settings
from storage.driver_errors import REPEAT, error_number, is_locked, is_retired, naming_errors

T = TypeVar("T")
Isolation = Literal["AUTOCOMMIT", "READ COMMITTED"]

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_IDLE_SECONDS = 1.0
# A launcher that is frozen in the middle of a claim keeps its locks, and an operator may wait for
# one; the server ends such a transaction before it gives the operator an error, after 50 s.
_IDLE_TRANSACTION_SECONDS = 20
_LOCK_SECONDS = 3  # less than any timeout, so that the server says what it is that we wait for
_TABLE_SECONDS = 10
# What MariaDB has as its default: a server set to be lenient would cut long text without a word.
_SQL_MODE = (
    "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION"
)


def make_engine(
    settings: Settings, *, autocommit: bool = False, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Engine:
    """An engine for MariaDB or SQLite; connects lazily.

    A server that does not answer within the timeout counts as lost (MariaDB alone).

    With `autocommit` (MariaDB alone) a read costs the server one statement, with no COMMIT or
    ROLLBACK after it: for what is asked again and again.

    Raises:
        BadSetting: the URL is malformed or names another database.
    """
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise BadSetting(
            "database_url is not a URL; for example mariadb+pymysql://user@host/database"
        ) from None
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.drivername in ("mariadb+pymysql", "mysql+pymysql"):
        password = settings.database_password
        url = url.set(password=password.get_secret_value() if password else None)
        isolation: Isolation = "AUTOCOMMIT" if autocommit else "READ COMMITTED"
        return _mariadb(url, isolation, timeout_seconds)
    raise BadSetting(
        f"database_url: {url.drivername} is not supported; "
        "use mariadb+pymysql://user@host/database or sqlite:///path"
    )


def _mariadb(url: URL, isolation: Isolation, timeout_seconds: float) -> Engine:
    for name in ("ssl_ca", "ssl_cert", "ssl_key"):
        if (file := url.query.get(name)) and not os.access(str(file), os.R_OK):
            raise BadSetting(f"database_url: {name}: cannot read {file}")
    try:
        engine = create_engine(
            url.set(drivername="mariadb+pymysql"),  # one dialect, by whichever name it was asked
            isolation_level=isolation,
            skip_autocommit_rollback=True,
            # A Connection that closes ends its own transaction; the pool would send a ROLLBACK
            # after every COMMIT as well.
            pool_reset_on_return=None,
            pool_recycle=300,
            hide_parameters=True,
            connect_args=connect_args(
                url,
                f"innodb_lock_wait_timeout={_LOCK_SECONDS}, wait_timeout=600, "
                f"idle_transaction_timeout={_IDLE_TRANSACTION_SECONDS}",
                timeout_seconds,
            ),
        )
    except NoSuchModuleError as error:
        raise BadSetting(f"database_url: {error}") from error
    _ping_the_idle(engine)
    _leave_the_retired(engine)
    return engine


def connect_args(url: URL, session: str, timeout_seconds: float) -> dict[str, Any]:
    """What PyMySQL is told for each connection to MariaDB; `session`: what else to SET."""
    told: dict[str, Any] = {
        "charset": "utf8mb4",
        "connect_timeout": min(10, timeout_seconds),
        "read_timeout": timeout_seconds,
        "write_timeout": timeout_seconds,
        "init_command": f"SET SESSION {session}, time_zone='+00:00', sql_mode='{_SQL_MODE}'",
    }
    if url.password:
        # Bytes, as the server's own client sends it. PyMySQL would turn text into Latin-1, which
        # has no Korean.
        told["password"] = str(url.password).encode()
    return told


def _ping_the_idle(engine: Engine) -> None:
    """As SQLAlchemy's pool_pre_ping, but only for connections that were idle for a while: if it
    were asked at each use, it would be one of six questions that a claim and its completion cost.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < _IDLE_SECONDS:
            return
        try:
            connection.ping(reconnect=False)
        except Exception as error:  # whatever it says, another connection is better
            raise InvalidatePoolError from error


def _leave_the_retired(engine: Engine) -> None:
    """After a switch-over old connections lead to what is now a replica, and new ones elsewhere."""

    @event.listens_for(engine, "handle_error")
    def _leave(context: ExceptionContext) -> None:
        if is_retired(context.sqlalchemy_exception):
            context.is_disconnect = True


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 10})

    @event.listens_for(engine, "do_connect")
    def _make_private(*_: Any) -> None:
        if url.database and not url.database.startswith((":memory:", "file:")):
            # Data sets, and beside them cache and store: for nobody else to read.
            file = Path(url.database)
            try:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise DatabaseRefused(
                    f"cannot make the folder {file.parent} of the database: {error.strerror}; look "
                    "at database_url, or work in a folder that you may write to"
                ) from error
            with suppress(OSError):  # it is there, or SQLite says why it cannot be
                file.touch(mode=0o600, exist_ok=False)

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


def require_a_file(engine: Engine) -> None:
    """Raise WrongSchema where SQLite would make an empty database of a path that is mistyped."""
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path and not Path(path).exists():
        raise WrongSchema(
            f"there is no database {path}; look at database_url, or run "
            "`deepcredit db upgrade` to make one"
        )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection for reads alone; on SQLite it does not wait for a writer."""
    with naming_errors(), engine.connect() as connection:
        yield connection.execution_options(sqlite_begin="DEFERRED")


def transaction(engine: Engine, work: Callable[[Connection], T], *, attempts: int = _ATTEMPTS) -> T:
    """Run `work` in one transaction; repeat it after a deadlock, lock timeout or lost snapshot, for
    so many attempts in all.

    `work` may run several times, so it must do nothing but talk to the database.

    Raises:
        DatabaseUnavailable: no connection, or it broke; whether COMMIT arrived is then unknown.
        DatabaseRefused: the database knows us and says no.
    """
    attempt = 1
    with naming_errors():
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == attempts or error_number(error) not in REPEAT:
                    raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
            attempt += 1


@contextmanager
def not_waiting(connection: Connection) -> Iterator[None]:
    """Inside, a statement that meets a lock of somebody else fails at once (`is_locked`).

    SQLite has no locks of rows.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.exec_driver_sql("SET innodb_lock_wait_timeout=0")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql(f"SET innodb_lock_wait_timeout={_LOCK_SECONDS}")


@contextmanager
def changing_tables(connection: Connection) -> Iterator[None]:
    """Inside, a statement that makes a table or view anew or drops it waits for transactions that
    have used it, but not for long: whoever comes after it waits behind it, readers too.

    Raises:
        DatabaseUnavailable: one of them stayed open.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.exec_driver_sql(f"SET lock_wait_timeout={_TABLE_SECONDS}")
    try:
        yield
    except DBAPIError as error:
        if not is_locked(error):
            raise
        raise DatabaseUnavailable(
            "a session keeps a transaction open in which it has used these tables, as a client "
            "with autocommit off or a backup does; let it COMMIT or end, or find it with SHOW "
            "PROCESSLIST and KILL it, then run this again"
        ) from error
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("SET lock_wait_timeout=DEFAULT")
