"""What may be wrong with the database: its version, settings and rights, its tables, its clock."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from launcher.terminal.findings import Found, fail, ok, warn
from launcher.terminal.session import Session
from storage import dataset_use, health, migrate

_OLDEST_MARIADB, _OLDEST_SQLITE = (10, 6), (3, 35)
_CLOCK_SECONDS = 5.0


def database(session: Session, role: str) -> Found:
    yield from session.read(lambda connection: list(_about(connection, session.database, role)))


def _about(connection: Connection, name: str, role: str) -> Found:
    found = ".".join(map(str, health.version(connection)[:3]))
    if connection.dialect.name == "sqlite":
        say = fail if health.version(connection) < _OLDEST_SQLITE else ok
        yield say(f"SQLite {found} at {name}: one machine only")
        return
    yield from _mariadb(connection, f"MariaDB {found} at {name}")
    yield from _rights(connection, role)


def _mariadb(connection: Connection, what: str) -> Found:
    if health.version(connection) < _OLDEST_MARIADB:
        yield fail(f"{what}: 10.6 or newer is needed (SKIP LOCKED); upgrade the server")
    else:
        yield ok(what)
    isolation = health.variable(connection, "transaction_isolation", "tx_isolation")
    say = ok if isolation == "READ-COMMITTED" else fail
    yield say(f"isolation of our sessions: {isolation}")
    if health.variable(connection, "log_bin") == "ON":
        binlog = health.variable(connection, "binlog_format")
        if binlog == "STATEMENT":
            yield fail("binlog_format is STATEMENT; SET GLOBAL binlog_format = 'MIXED'")
        else:
            yield ok(f"binary log: {binlog}")
    flushed = health.variable(connection, "innodb_flush_log_at_trx_commit")
    if flushed == "0":
        yield warn(
            "innodb_flush_log_at_trx_commit is 0: a crash of the server forgets what was committed "
            "a second before, results too; SET GLOBAL innodb_flush_log_at_trx_commit = 1"
        )
    charset = health.variable(connection, "character_set_connection")
    say = ok if charset == "utf8mb4" else fail
    yield say(f"character set: {charset}")


def _rights(connection: Connection, role: str) -> Found:
    if lack := health.lacking(connection, f"deepcredit_{role}"):
        yield fail(
            f"for the role {role} {lack} if this account is an operator's or a reader's, use "
            "`deepcredit doctor --role operator` or `--role reader`",
        )
    else:
        yield ok(f"this account may do all that the role {role} needs")


def schema(session: Session) -> Found:
    migrate.require(session.engine)
    yield ok(f"version {migrate.head()}; `deepcredit db check` compares every column")


def datasets(session: Session, role: str) -> Found:
    left = session.read(dataset_use.leftovers)
    if role == "launcher":  # others need not see these tables
        left += session.read(dataset_use.tableless)
    yield from map(warn, left)
    if not left:
        yield ok("every table and column belongs to a data set")


def clock(session: Session) -> Found:
    before = datetime.now(UTC)
    there = session.read(health.clock).replace(tzinfo=UTC)
    after = datetime.now(UTC)
    apart = (there - (before + (after - before) / 2)).total_seconds()
    if abs(apart) > _CLOCK_SECONDS:
        yield warn(
            f"this host's clock is {-apart:+.0f} s off the database's; leases follow the database, "
            "but logs will mislead: start NTP",
        )
    else:
        yield ok(f"host and database differ by {abs(apart):.1f} s")
