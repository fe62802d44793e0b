"""Bulk reads of a table or view into Arrow: through connectorx on MariaDB, a cursor on SQLite."""

from collections.abc import Sequence
from typing import Any

import connectorx
import pyarrow as pa
import structlog
from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    column,
    func,
    literal_column,
    quoted_name,
    select,
    table,
)
from sqlalchemy.dialects import mysql

from configs.errors import BadData
from storage import cursor
from storage.catalogue import TableColumn, columns_of

log = structlog.get_logger(__name__)

_PARTITIONS = 3
_PARTITION_ROWS = 10_000  # below this a second connection costs more than it saves

# Options of a URL that connectorx may go without.
_HARMLESS_OPTIONS = frozenset(
    {"charset", "connect_timeout", "program_name", "read_timeout", "write_timeout"}
)

# connectorx has no time limit: it would wait for ever for a server that lost its power, while its
# batch's lease is renewed at the one that took over. So the kernel asks whether the other is there.
_KEEPALIVE = {
    "tcp_keepalive_time_ms": "30000",
    "tcp_keepalive_probe_interval_secs": "10",
    "tcp_keepalive_probe_count": "3",
}

_INTEGER = frozenset({"tinyint", "smallint", "mediumint", "int", "year"})
_FRACTION = frozenset({"decimal", "float", "bit"})
_TEXT = frozenset({"varchar", "tinytext", "text", "mediumtext", "longtext"})
_OTHER_TEXT = frozenset({"char", "enum", "set", "json", "uuid", "inet4", "inet6"})
_MOMENT = frozenset({"date", "datetime", "time"})


def read_table(
    connection: Connection,
    table_name: str,
    names: Sequence[str],
    *,
    order_column: str | None = None,
    n_rows: int | None = None,
) -> pa.Table:
    """The named columns (and `order_column`) of committed rows, in no order, each of them int64,
    float64 or string. `n_rows`, if known, lets parts be read in parallel; it limits nothing.

    Dates and times become ISO text, a TIMESTAMP in UTC.

    Raises:
        NotFound: there is no such table or view.
        BadData: a column has gone, or holds binary values, or the order is one of `names`.
    """
    if order_column in names:
        raise BadData(
            f"order_column of table {table_name!r} in dc_dataset is {order_column!r}, a column of "
            "the data; only `dataset load` writes there"
        )
    there = {found.name: found for found in columns_of(connection, table_name)}
    wanted = [*names, *([order_column] if order_column is not None else [])]
    gone = [name for name in wanted if name not in there]
    if gone:
        raise BadData(
            f"table {table_name!r} has no column {gone[0]!r} any more; restore it, "
            "or load the data as a new version"
        )
    expressions = [
        _expression(there[name]).label(f"c{number}") for number, name in enumerate(wanted)
    ]
    question = select(*expressions).select_from(table(quoted_name(table_name, quote=True)))
    found = None
    if connection.dialect.name != "sqlite":
        parts = _parts(question, order_column, n_rows)
        found = _through_connectorx(connection, parts)
        if found is not None and len(parts) > 1:
            found = _in_order(found)
    if found is None:
        found = cursor.read(connection, question, wanted)
    return found.rename_columns(wanted)


def _expression(found: TableColumn) -> ColumnElement[Any]:
    """The column as the server should send it: BIGINT, DOUBLE or text."""
    value = _named(found.name)
    kind = found.data_type
    if found.long:
        return cast(value, String)
    if kind in ("", "double", "bigint") or kind in _TEXT:
        return value
    if kind in _INTEGER:
        return cast(value, BigInteger)
    if kind in _FRACTION:
        return value + literal_column("0e0")
    if kind in _MOMENT or kind in _OTHER_TEXT:
        return cast(value, String)
    if kind == "timestamp":
        zone: ColumnElement[str] = literal_column("@@session.time_zone")
        return cast(func.convert_tz(value, zone, literal_column("'+00:00'")), String)
    raise BadData(
        f"column {found.name!r} holds {kind.upper()} values, which are neither numbers nor text; "
        f"leave it out with --drop {found.name}"
    )


def _named(name: str) -> ColumnElement[Any]:
    return column(quoted_name(name, quote=True))


def _parts(
    question: Select[Any], order_column: str | None, n_rows: int | None
) -> list[Select[Any]]:
    """The same rows in several questions. The outer ranges are open, so that no row is missed."""
    if order_column is None or n_rows is None or n_rows < _PARTITIONS * _PARTITION_ROWS:
        return [question]
    order = _named(order_column)
    cuts = [n_rows * part // _PARTITIONS for part in range(1, _PARTITIONS)]
    lower = [question.where(order > cut) for cut in cuts]
    return [
        part.where(order <= cut) if cut is not None else part
        for part, cut in zip([question, *lower], [*cuts, None], strict=True)
    ]


def _through_connectorx(
    connection: Connection, questions: Sequence[Select[Any]]
) -> pa.Table | None:
    """None where connectorx cannot do it (a socket, an authentication or a TLS option that it does
    not know): the caller's own connection then does, slowly. Its errors may repeat the URL, which
    holds the password, so none of them leaves this function.
    """
    encryption = _encryption(connection)
    if encryption is None:
        return None
    url = connection.engine.url
    # `named` leaves a % in a name alone; the driver's own style would double it.
    dialect = mysql.dialect(paramstyle="named")
    texts = [
        str(question.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        for question in questions
    ]
    options = _KEEPALIVE | encryption
    plain = URL.create(
        "mysql", url.username, url.password, url.host, url.port, url.database, options
    )
    try:
        found = connectorx.read_sql(
            plain.render_as_string(hide_password=False), texts, return_type="arrow"
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        reason = type(error).__name__
    else:
        return _widened(found)
    log.warning("connectorx failed; the ordinary cursor reads, ten times slower", error=reason)
    return None


def _encryption(connection: Connection) -> dict[str, Any] | None:
    """As the caller's connection has it, which the driver encrypts wherever the server offers it;
    rows of applicants shall not go beside it in plain text. None: connectorx cannot have it so.
    """
    query = connection.engine.url.query
    if not set(query) <= _HARMLESS_OPTIONS | {"ssl_ca", "ssl_disabled"}:
        return None
    _, cipher = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Ssl_cipher'").one()
    if not cipher:
        return {"ssl-mode": "DISABLED"}
    if "ssl_ca" in query:
        return {"ssl-mode": "VERIFY_IDENTITY", "ssl-ca": query["ssl_ca"]}
    return {"ssl-mode": "REQUIRED"}


def _widened(found: pa.Table) -> pa.Table:
    """int64, float64 or string: connectorx picks narrower types where it can."""

    def wide(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_integer(kind):
            return pa.int64()
        return pa.float64() if pa.types.is_floating(kind) else pa.string()

    return found.cast(pa.schema([field.with_type(wide(field.type)) for field in found.schema]))


def _in_order(found: pa.Table) -> pa.Table:
    """Parts come in the order in which they end: here they are sorted by the first value of their
    last column, the row number. Then mostly all rows are in order, and need not be sorted, which
    would copy them.
    """
    batches = [batch for batch in found.to_batches() if batch.num_rows]
    batches.sort(key=lambda batch: batch.columns[-1][0].as_py() or 0)
    return pa.Table.from_batches(batches, found.schema)
