"""Servers for tests: private; databases migrated, and empty at the start of every test."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from configs.settings import Settings, load
from storage.engine import make_engine
from storage.migrate import upgrade
from tests.mariadb import MariaDB, MariaDBMissing, running_mariadb
from tests.sshd import SshdMissing, SshServer, running_sshd
from tests.tidy import Broom

SettingsFactory = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> SettingsFactory:
    """Settings from keywords alone: no environment, no file; everything below tmp_path."""

    def make(**overrides: Any) -> Settings:
        folders = {
            "database_url": f"sqlite:///{tmp_path / 'deepcredit.db'}",
            "store_url": str(tmp_path / "store"),
            "cache_dir": tmp_path / "cache",
            "log_dir": tmp_path / "logs",
        }
        return load(folders | overrides, environ={}, file=Path("none"))

    return make


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One server for all tests of this process."""
    try:
        with running_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
            yield server
    except MariaDBMissing as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def sshd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """One SFTP server for all tests of this process; give each test a folder of its own in it."""
    try:
        with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
            yield server
    except SshdMissing as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def _mariadb_database(mariadb_server: MariaDB) -> Iterator[tuple[str, Broom]]:
    name = mariadb_server.new_database()
    _migrate(load(mariadb_server.settings(name), environ={}, file=Path("none")))
    broom = Broom(mariadb_server, name)
    yield name, broom
    broom.close()


@pytest.fixture
def mariadb_settings(
    mariadb_server: MariaDB, _mariadb_database: tuple[str, Broom], settings: SettingsFactory
) -> Settings:
    """Settings that name a migrated, empty database on the private server."""
    name, broom = _mariadb_database
    broom.sweep()
    return settings(**mariadb_server.settings(name))


@pytest.fixture
def mariadb_engine(mariadb_settings: Settings) -> Iterator[Engine]:
    engine = make_engine(mariadb_settings)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(load({"database_url": f"sqlite:///{path}"}, environ={}, file=Path("none")))
    return path


@pytest.fixture
def sqlite_settings(_sqlite_template: Path, settings: SettingsFactory, tmp_path: Path) -> Settings:
    """Settings that name a migrated, empty SQLite file."""
    shutil.copy(_sqlite_template, tmp_path / "deepcredit.db")
    return settings()


@pytest.fixture
def sqlite_engine(sqlite_settings: Settings) -> Iterator[Engine]:
    engine = make_engine(sqlite_settings)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def database_settings(request: pytest.FixtureRequest) -> Settings:
    """Both databases in turn."""
    made: Settings = request.getfixturevalue(f"{request.param}_settings")
    return made


@pytest.fixture
def engine(database_settings: Settings) -> Iterator[Engine]:
    """Both databases in turn."""
    engine = make_engine(database_settings)
    yield engine
    engine.dispose()


def _migrate(settings: Settings) -> None:
    engine = make_engine(settings)
    upgrade(engine, lambda line: None)
    engine.dispose()


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
