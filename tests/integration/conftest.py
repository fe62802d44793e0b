"""Who works on a test's database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from configs.settings import Settings
from storage.engine import make_engine
from tests.calls import Calls
from tests.conftest import SettingsFactory
from tests.desk import XGB, Desk, applicants, open_desk
from tests.mariadb import MariaDB
from tests.runs import QUICK, Runs


@pytest.fixture
def calls(engine: Engine) -> Calls:
    return Calls(engine)


@pytest.fixture
def account(
    mariadb_engine: Engine, mariadb_server: MariaDB, settings: SettingsFactory
) -> Iterator[Callable[..., Engine]]:
    """Makes an engine of an account with rights to the test's database alone."""
    database, engines = mariadb_engine.url.database or "", []

    def make(rights: str = "ALL", password: str = "pw") -> Engine:
        mariadb_server.client(
            f"CREATE OR REPLACE USER plain@'127.0.0.1' IDENTIFIED BY '{password}';"
            f"GRANT {rights} ON `{database}`.* TO plain@'127.0.0.1'"
        )
        url = mariadb_server.url(database, user="plain")
        engines.append(make_engine(settings(database_url=url, database_password=password)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
    mariadb_server.client("DROP USER IF EXISTS plain@'127.0.0.1'")


@pytest.fixture
def desk(sqlite_settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(sqlite_settings, tmp_path) as desk:
        yield desk


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """With applicants, and a model to train on them."""
    desk.load(applicants(), id_column="id")
    desk.models(XGB)
    return desk


@pytest.fixture
def runs(mariadb_settings: Settings, tmp_path: Path) -> Iterator[Runs]:
    runs = Runs(mariadb_settings.model_copy(update=QUICK), tmp_path)
    yield runs
    runs.engine.dispose()
