"""Connections that may send a local file, for rows by the thousand."""

from sqlalchemy import Engine, NullPool, create_engine

from storage.engine import connect_args

_TIMEOUT_SECONDS = 600


def bulk_engine(engine: Engine) -> Engine:
    """For `bulk_write.fill`: `engine` itself on SQLite. On MariaDB its connections may send a local
    file: a server could ask such a one for any file, so no other connection has that right.
    """
    if engine.dialect.name == "sqlite":
        return engine
    return create_engine(
        engine.url,
        isolation_level="READ COMMITTED",
        poolclass=NullPool,
        hide_parameters=True,
        # With innodb_strict_mode a table is refused if its longest possible row might not fit a
        # page, which 200 short text columns reach. Rows that do not fit are refused anyway.
        connect_args=connect_args(engine.url, "innodb_strict_mode=OFF", _TIMEOUT_SECONDS)
        | {"local_infile": True},
    )
