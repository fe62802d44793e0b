"""The SQL of the operator's guide and of the page on ensembles, through the mariadb client."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine

from configs.settings import Settings
from tests.bank import ROOT
from tests.blocks import Block, blocks
from tests.mariadb import MariaDB

PAGES = [ROOT / "docs" / name for name in ("operators.md", "ensembles.md")]
STANDSTILL = [each for each in blocks(ROOT / "docs" / "servers.md") if "dc_queue" in each.text]
SQL = [block for page in PAGES for block in blocks(page) if block.language == "sql"]


def _named(block: Block) -> str:
    return block.text.splitlines()[0][:60]


@pytest.mark.parametrize("block", [*SQL, *STANDSTILL], ids=_named)
def test_the_sql_of_the_guide_runs(
    block: Block, mariadb_server: MariaDB, mariadb_settings: Settings, mariadb_engine: Engine
) -> None:
    mariadb_server.client(block.text, mariadb_engine.url.database or "")


@pytest.mark.parametrize("block", [*SQL, *STANDSTILL], ids=_named)
def test_the_same_statements_work_on_the_embedded_database(
    block: Block, sqlite_engine: Engine
) -> None:
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    with closing(sqlite3.connect(sqlite_engine.url.database or "")) as connection:
        connection.executescript(block.text.replace("UTC_TIMESTAMP()", now))


def test_all_sql_of_the_pages_is_run() -> None:
    written = sum(page.read_text(encoding="utf-8").count("\n```sql\n") for page in PAGES)

    assert len(SQL) == written


def test_the_guide_starts_with_sql() -> None:
    assert len(SQL) >= 5
    assert SQL[0].text.startswith("INSERT INTO dc_batch")
