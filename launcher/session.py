"""What a command works with: settings, and transactions on the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import typer
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from configs.errors import BadSetting, WrongSchema
from configs.settings import FILE, PREFIX, SECRETS, Settings, load
from launcher.options import GlobalOptions
from storage.engine import error_number, make_engine, reading, transaction

T = TypeVar("T")

_NO_SUCH_TABLE, _NO_SUCH_COLUMN = 1146, 1054


@dataclass(frozen=True)
class Session:
    """One invocation of a command. Nothing is opened before it is used."""

    settings: Settings
    options: GlobalOptions

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.settings)

    def read(self, question: Callable[[Connection], T]) -> T:
        with _naming_old_schema(), reading(self.engine) as connection:
            return question(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; it may run more than once."""
        with _naming_old_schema():
            return transaction(self.engine, work)


def session(ctx: typer.Context) -> Session:
    """The session of an invocation, from its global options.

    Raises:
        BadSetting: a setting is unknown or has a bad value.
    """
    options = ctx.find_root().obj
    assert isinstance(options, GlobalOptions)
    for name in options.overrides:
        if name in SECRETS:
            raise BadSetting(
                f"{name} is a secret and others can read command lines; "
                f"set {PREFIX}{name.upper()} or {PREFIX}{name.upper()}_FILE"
            )
    if options.config is not None and not options.config.is_file():
        raise BadSetting(f"--config: {options.config} is not a file")
    return Session(load(options.overrides, file=options.config or Path(FILE)), options)


@contextmanager
def _naming_old_schema() -> Iterator[None]:
    try:
        yield
    except (OperationalError, ProgrammingError) as error:
        missing = error_number(error) in (_NO_SUCH_TABLE, _NO_SUCH_COLUMN)
        text = str(error.orig)
        if missing or text.startswith(("no such table", "no such column")):
            raise WrongSchema(f"{text}; run `deepcredit db upgrade` first") from error
        raise
