"""Column types and time expressions that mean the same on MariaDB and SQLite.

Time is UTC and comes from the database, never from a host's clock. SQLite keeps it as text of
fixed width, so that comparing text compares time; MariaDB as DATETIME(6), never as TIMESTAMP,
which follows the session's zone.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Integer, String, Text
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock in UTC; `utc_now(x)` is x seconds from now (x may be negative)."""

    type = DateTime()
    inherit_cache = True


@compiles(utc_now, "mariadb")
def _utc_now_mariadb(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    if not len(element.clauses):
        return "UTC_TIMESTAMP(6)"
    seconds = compiler.process(element.clauses, **kw)
    # Whole microseconds: INTERVAL x SECOND rounds a parameter that arrives as a string.
    return f"(UTC_TIMESTAMP(6) + INTERVAL CAST(({seconds}) * 1000000 AS SIGNED) MICROSECOND)"


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    # %f gives milliseconds; three zeros make the width of SQLAlchemy's own DateTime.
    if not len(element.clauses):
        return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"
    seconds = compiler.process(element.clauses, **kw)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', ({seconds}) || ' seconds') || '000')"


class when(FunctionElement[Any]):  # noqa: N801
    """`when(condition, a, b)`: IF on MariaDB, iif on SQLite.

    CASE will not do: MariaDB refuses it on a CHAR column inside an indexed generated column.
    """

    inherit_cache = True


@compiles(when, "mariadb")
def _when_mariadb(element: when, compiler: SQLCompiler, **kw: Any) -> str:
    return f"IF({compiler.process(element.clauses, **kw)})"


@compiles(when, "sqlite")
def _when_sqlite(element: when, compiler: SQLCompiler, **kw: Any) -> str:
    return f"iif({compiler.process(element.clauses, **kw)})"


def big_id() -> TypeEngine[int]:
    """A BIGINT; on SQLite INTEGER, the only type that numbers rows by itself."""
    return BigInteger().with_variant(Integer(), "sqlite")


def code(length: int) -> TypeEngine[str]:
    """Short ASCII compared byte by byte, for what the program itself writes: states, ids, hashes.

    Not for what people name: comparing such a column with Korean text is an error on MariaDB.
    """
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mariadb"
    )


class _WhateverStands(sqlite.DATETIME):
    """SQLite keeps whatever an operator has typed, and no row may stop a launcher: what is no time
    is read as the beginning of time, not as NULL, because something was typed.
    """

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        parsed = super().result_processor(dialect, coltype)

        def read(value: Any) -> datetime | None:
            try:
                return parsed(value) if parsed else value
            except (TypeError, ValueError):
                return datetime.min  # noqa: DTZ901 - all of ours are without a zone

        return read


def moment() -> TypeEngine[datetime]:
    """A UTC time to the microsecond."""
    return (
        DateTime()
        .with_variant(mysql.DATETIME(fsp=6), "mariadb")
        .with_variant(_WhateverStands(), "sqlite")  # type: ignore[no-untyped-call]
    )


def long_text() -> TypeEngine[str]:
    """Text of any length: JSON, tracebacks."""
    return Text().with_variant(mysql.LONGTEXT(), "mariadb")


def number() -> TypeEngine[float]:
    """A double; a metric that is undefined is NULL, never NaN."""
    return Double()


def shorten(value: str | None, length: int) -> str | None:
    """Text that a column of `length` takes; of longer text the beginning and the end stay."""
    if value is None:
        return None
    value = value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be stored
    if len(value) <= length:
        return value
    tail = (length - 3) // 2
    return f"{value[: length - 3 - tail]}...{value[len(value) - tail :]}"


def error_columns(error_class: str | None, error_text: str | None) -> dict[str, str | None]:
    """The two columns that say what went wrong, as a batch and its history have them."""
    return {
        "error_class": shorten(error_class, 100),
        "error_text": shorten(error_text, 100_000),
    }


class seconds_between(FunctionElement[int]):  # noqa: N801
    """Whole seconds from the first moment to the second."""

    type = Integer()
    inherit_cache = True


@compiles(seconds_between, "mariadb")
def _seconds_between_mariadb(element: seconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    return f"TIMESTAMPDIFF(SECOND, {compiler.process(element.clauses, **kw)})"


@compiles(seconds_between, "sqlite")
def _seconds_between_sqlite(element: seconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"CAST((julianday({end}) - julianday({start})) * 86400 AS INTEGER)"
