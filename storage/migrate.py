"""Bring a database to the schema of the code, by Alembic but without an alembic.ini."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, literal, select, table

from configs.errors import DatabaseUnavailable, WrongSchema
from storage.drift import differences
from storage.driver_errors import naming_errors, naming_lack_of_rights
from storage.engine import changing_tables
from storage.metadata import VERSION_TABLE
from storage.views import VIEWS, create_view

_LOCK = "deepcredit.migrate"
_LOCK_SECONDS = 600
_SLICE_SECONDS = 10


def upgrade(engine: Engine, log: Callable[[str], None]) -> None:
    """Create or migrate every table and view, telling `log` each step in a line.

    Safe to run twice, at the same time from several machines, and again after a run that was
    interrupted. Rows stay.

    Raises:
        WrongSchema: the tables are of a newer version, of the system that this one replaces, or
            part of a backup.
        DatabaseRefused: this account may not create tables.
        DatabaseUnavailable: somebody keeps a transaction open that has used them.
    """
    with (
        naming_errors(),
        engine.connect() as connection,
        naming_lack_of_rights("`deepcredit db upgrade`"),
        _alone(connection),
        changing_tables(connection),
    ):
        found = _found(connection)
        if found not in (None, *_revisions()):
            raise WrongSchema(
                f"the database has schema version {found}, which this version of deepcredit does "
                "not know; install a newer deepcredit"
            )
        _refuse_legacy(connection)
        if found is None:
            _refuse_remnant(connection)
        if found != head():
            _drop_views(connection)
            config = _config()
            config.attributes |= {
                "connection": connection,
                "version_table": VERSION_TABLE,
                "on_version_apply": _teller(log),
            }
            command.upgrade(config, "head")
        _drop_views(connection)
        for name in VIEWS:
            connection.exec_driver_sql(create_view(name, connection.dialect))
        connection.commit()
        log(f"schema version {head()}, views {', '.join(VIEWS)}")


def check(engine: Engine) -> list[str]:
    """What differs between the live schema and the code, a line each, down to defaults and views.

    Other tables are not looked at. On MariaDB this needs the rights to create temporary tables
    and views.
    """
    found = current(engine)
    if found is None:
        return ["the database has no tables yet; run `deepcredit db upgrade`"]
    lines = []
    if found != head():
        lines.append(
            f"schema version is {found}, the code has {head()}; run `deepcredit db upgrade`"
        )
    needs = naming_lack_of_rights("`deepcredit db check`")
    with naming_errors(), engine.connect() as connection, needs:
        return lines + differences(connection)


def current(engine: Engine) -> str | None:
    """The version of the live schema; None: the database is empty or was never migrated."""
    with naming_errors(), engine.connect() as connection:
        return _found(connection)


def head() -> str:
    """The version that the code needs."""
    revision = _scripts().get_current_head()
    assert revision is not None
    return revision


def require(engine: Engine) -> None:
    """For those who are about to work with the database.

    Raises:
        WrongSchema: its tables are not of this version.
    """
    found = current(engine)
    if found != head():
        state = "has no tables yet" if found is None else f"has schema version {found}"
        raise WrongSchema(
            f"the database {state} and version {head()} is needed; run `deepcredit db upgrade`"
        )


def _found(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _teller(log: Callable[[str], None]) -> Callable[..., None]:
    def tell(*, step: Any, **_: Any) -> None:
        log(f"{step.up_revision_id}: {step.up_revision.doc}")

    return tell


def _drop_views(connection: Connection) -> None:
    """SQLite changes no table that a view reads, and cannot replace a view; MariaDB can both."""
    if connection.dialect.name == "sqlite":
        for name in VIEWS:
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def _refuse_legacy(connection: Connection) -> None:
    there = inspect(connection)
    if not there.has_table("dc_batch"):
        return
    if "fence" not in {column["name"] for column in there.get_columns("dc_batch")}:
        raise WrongSchema(
            "the database has a dc_batch of another system; rename that system's tables "
            "(RENAME TABLE dc_batch TO legacy_dc_batch) or name an empty database"
        )


def _refuse_remnant(connection: Connection) -> None:
    """An upgrade that was interrupted leaves tables without a version, but no batch: nobody can
    have used them. With batches they are part of a backup, and to add the rest would hide what is
    missing.
    """
    there = inspect(connection).has_table("dc_batch")
    if there and connection.scalar(select(literal(1)).select_from(table("dc_batch")).limit(1)):
        raise WrongSchema(
            f"dc_batch holds batches, but {VERSION_TABLE} names no version, as after a restore "
            "that broke off; restore the whole backup into an empty database"
        )


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other upgrades of this database out. On SQLite its one write lock does so."""
    if connection.dialect.name == "sqlite":
        yield
        return
    name = func.concat(_LOCK, ".", func.md5(func.database()))
    deadline = time.monotonic() + _LOCK_SECONDS
    while connection.scalar(select(func.get_lock(name, _SLICE_SECONDS))) != 1:
        if time.monotonic() > deadline:
            raise DatabaseUnavailable("another `deepcredit db upgrade` is running; try again later")
    try:
        yield
    finally:
        connection.rollback()
        connection.scalar(select(func.release_lock(name)))
