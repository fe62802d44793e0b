"""Commands are typed in an empty folder, and find a database of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.calls import Calls
from tests.mariadb import PASSWORD, MariaDB
from tests.terminal import APPLICANTS, MODELS, Terminal


@pytest.fixture
def bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Default settings, and no database yet."""
    for name in os.environ:
        if name.startswith("DEEPCREDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Terminal(capsys)


@pytest.fixture
def calls(bare: Terminal, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The database that commands find."""
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{sqlite_engine.url.database}")
    return Calls(sqlite_engine)


@pytest.fixture
def database(
    bare: Terminal, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Commands find a new one, without tables, on the private server; its name."""
    name = mariadb_server.new_database()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    yield name
    mariadb_server.drop_database(name)


@pytest.fixture
def run(bare: Terminal, calls: Calls) -> Terminal:
    return bare


@pytest.fixture
def stocked(run: Terminal) -> Terminal:
    """With data set DATA001/1 and models 1 and 2 of group M100; 2 is not in use."""
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    Path("models.toml").write_text(MODELS, encoding="utf-8")
    assert run("dataset", "load", "a.csv", "--group", "DATA001", "--target", "연체")[0] == 0
    assert run("model", "load", "models.toml")[0] == 0
    return run
