"""Servers for tests: private; databases migrated, and empty at the start of every test."""

import gc
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Engine, event

from configs.settings import Settings, load
from storage.engine import make_engine
from storage.migrate import upgrade
from tests.administrator import Administrator
from tests.bank import ROOT
from tests.mariadb import MariaDB, MariaDBMissing, running_mariadb
from tests.places import Place, opened
from tests.small_disk import SmallDiskMissing, small_disk
from tests.sshd import HOST, QUICK_KEY_EXCHANGE, SshdMissing, SshServer, running_sshd
from tests.tidy import empty

# About a minute and more; those that wait are beside those that compute.
LONGEST = (
    "test_same_numbers",
    "test_daemon",
    "test_chaos",
    "test_main_job",
    "test_cluster_losses",
    "test_database_troubles",
    "test_demo",
    "test_cluster_start",
    "test_cluster_hosts",
    "test_cluster_changes",
    "test_readme",
    "test_what_waits",
    "test_containers",
    "test_ensemble_mode",
    "test_cluster",
    "test_supervisor",
    "test_kinds",
)

SettingsFactory = Callable[..., Settings]

# A shell without job control makes what it starts in the background ignore Ctrl-C, and so would
# every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Who ends the tests by SIGTERM, as `timeout` does, ends them as Ctrl-C would: with their servers.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# Few shells have it set, and so few people see at once what their programs print.
os.environ.pop("PYTHONUNBUFFERED", None)
# Threads of libraries of models that wait for each other leave the cores to the tests beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What test files import stays: looking for garbage in it takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are what runs side by side: those that take long begin first, so that no core waits for
    one of them at the end.
    """
    items.sort(key=lambda item: (rank(item.path.stem), "unit" in item.path.parts))


def rank(file: str) -> int:
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that a test calls sends logs to this test's stderr, which is closed at its end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


_connected: set[Engine] = set()
event.listen(Engine, "engine_connect", lambda connection: _connected.add(connection.engine))


@pytest.fixture(autouse=True)
def _connections_are_closed() -> Iterator[None]:
    """Or Python 3.13 would warn, in some later test, that nobody has."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("heartbeat-"):  # one may be on its way still
            thread.join(5)
    while _connected:
        _connected.pop().dispose()


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
def cluster_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """One for all hosts of all clusters of this process."""
    folder = tmp_path_factory.mktemp("cluster")
    options = {
        "ListenAddress": f"{HOST}\nListenAddress 127.0.0.2\nListenAddress ::1",
        "KexAlgorithms": QUICK_KEY_EXCHANGE,
    }
    environment = {"PYTHONPATH": str(ROOT)}
    try:
        with running_sshd(folder, options=options, environment=environment) as server:
            yield server
    except SshdMissing as error:
        _missing(str(error))


@pytest.fixture
def admin(tmp_path: Path, cluster_sshd: SshServer) -> Iterator[Administrator]:
    admin = Administrator(tmp_path, cluster_sshd)
    yield admin
    if admin.records():
        admin.write()
        admin.cluster("stop")


@pytest.fixture(scope="session")
def _mariadb_engine(mariadb_server: MariaDB) -> Iterator[Engine]:
    """One for all tests, because an engine compiles each statement once."""
    yield from _migrated(mariadb_server.settings(mariadb_server.new_database()))


@pytest.fixture
def mariadb_engine(mariadb_server: MariaDB, _mariadb_engine: Engine) -> Iterator[Engine]:
    """Of a migrated, empty database on the private server."""
    database = _mariadb_engine.url.database
    assert database is not None
    empty(mariadb_server, database)
    yield _mariadb_engine
    _mariadb_engine.dispose()


@pytest.fixture
def mariadb_settings(
    mariadb_server: MariaDB, mariadb_engine: Engine, settings: SettingsFactory
) -> Settings:
    """What names the database of mariadb_engine."""
    return settings(**mariadb_server.settings(mariadb_engine.url.database or ""))


@pytest.fixture(scope="session")
def _sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("sqlite") / "deepcredit.db"
    yield from _migrated({"database_url": f"sqlite:///{path}"})


@pytest.fixture
def sqlite_engine(_sqlite_engine: Engine) -> Iterator[Engine]:
    """Of a migrated, empty SQLite file."""
    path = Path(_sqlite_engine.url.database or "")
    template = path.with_suffix(".template")
    if not template.exists():  # the first test finds the file as the migration has left it
        path.rename(template)
    for used in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        used.unlink(missing_ok=True)
    shutil.copy(template, path)
    yield _sqlite_engine
    _sqlite_engine.dispose()


@pytest.fixture
def sqlite_settings(sqlite_engine: Engine, settings: SettingsFactory) -> Settings:
    """What names the file of sqlite_engine."""
    return settings(database_url=f"sqlite:///{sqlite_engine.url.database}")


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both databases in turn."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def database_settings(engine: Engine, request: pytest.FixtureRequest) -> Settings:
    """What names the database of `engine`."""
    kind = "sqlite" if engine.dialect.name == "sqlite" else "mariadb"
    found: Settings = request.getfixturevalue(f"{kind}_settings")
    return found


@pytest.fixture(params=["folder", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A model store of each kind in turn, empty."""
    settings: dict[str, object] = {"store_url": str(tmp_path / "store")}
    root = tmp_path / "store"
    if request.param == "sftp":
        server: SshServer = request.getfixturevalue("sshd_server")
        settings, root = dict(server.settings(tmp_path.name)), server.root / tmp_path.name
    with opened(settings, root) as place:
        yield place


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 1 MB."""
    try:
        with small_disk(tmp_path / "disk") as disk:
            yield disk
    except SmallDiskMissing as error:
        _missing(str(error))


def _migrated(overrides: dict[str, Any]) -> Iterator[Engine]:
    engine = make_engine(load(overrides, environ={}, file=Path("none")))
    upgrade(engine, lambda line: None)
    engine.dispose()
    yield engine
    engine.dispose()


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
