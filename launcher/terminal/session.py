"""What a command works with: settings, and transactions on the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import typer
from sqlalchemy import Connection, Engine

from configs.errors import BadSetting
from configs.settings import FILE, PREFIX, SECRETS, Settings, load
from launcher.terminal.options import GlobalOptions
from storage.driver_errors import naming_bad_values, naming_old_schema
from storage.engine import make_engine, reading, require_a_file, transaction

T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """One invocation of a command. Nothing is opened before it is used."""

    settings: Settings
    options: GlobalOptions = field(default_factory=GlobalOptions)

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.settings)

    def close(self) -> None:
        """Take leave of the server, which counts connections that break off (Aborted_clients)."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @property
    def database(self) -> str:
        """Which one it is, for people: without the password."""
        return self.engine.url.render_as_string(hide_password=True)

    def read(self, question: Callable[[Connection], T]) -> T:
        require_a_file(self.engine)
        with self._naming_errors(), reading(self.engine) as connection:
            return question(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; it may run more than once."""
        require_a_file(self.engine)
        with self._naming_errors():
            return transaction(self.engine, work)

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        with naming_old_schema(self.engine), naming_bad_values():
            yield


def session(ctx: typer.Context) -> Session:
    """The session of an invocation, from its global options; it is closed when that ends.

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
    made = Session(load(options.overrides, file=options.config or Path(FILE)), options)
    ctx.find_root().call_on_close(made.close)
    return made
