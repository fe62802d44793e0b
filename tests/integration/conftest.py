"""Who works on a test's database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from configs.settings import Settings
from tests.calls import Calls
from tests.desk import XGB, Desk, applicants, open_desk
from tests.runs import QUICK, Runs


@pytest.fixture
def calls(engine: Engine) -> Calls:
    return Calls(engine)


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
