"""The SQL of the pages for operators, on ensembles and for reviews, through the mariadb client."""

import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine

from configs.settings import Settings
from tests.bank import ROOT
from tests.blocks import Block, blocks
from tests.mariadb import MariaDB

PAGES = [ROOT / "docs" / name for name in ("operators.md", "ensembles.md", "review.md")]
UPGRADES = blocks(ROOT / "docs" / "upgrades-and-backup.md")
STANDSTILL = [each for each in UPGRADES if "dc_queue" in each.text]
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


def test_the_guide_s_leaderboard_fits_a_terminal(
    mariadb_server: MariaDB, mariadb_engine: Engine
) -> None:
    database = mariadb_engine.url.database or ""
    asked = next(block.text for block in SQL if "v_leaderboard" in block.text)
    (query,) = re.findall(r"^SELECT [^;]* v_leaderboard [^;]*;", asked, re.MULTILINE)
    counts = "n_rows, tn, fp, fn, tp, auc, ks"
    mariadb_server.client(
        "SET sql_mode = '';"  # what has no default is empty
        "INSERT INTO dc_batch (batch_id, mode, dataset_group, dataset_version)"
        " VALUES (12345, 'train', 'DATA001', 1);"
        "INSERT INTO dc_model (batch_id, model_no, model_sub_no, model_id, split_id, fence)"
        f" VALUES (12345, 101, 1, 'DL-TABNET', '{64 * 'a'}', 1);"
        "INSERT INTO dc_batch_result (batch_id, model_no, model_sub_no, split, fence, state,"
        f" {counts}) VALUES (12345, 101, 1, 'valid', 1, 'C', 9999, 1, 1, 1, 1, 1 / 3e0, 1 / 3e0),"
        " (12345, 101, 1, 'test', 1, 'C', 9999, 1, 1, 999, 999, 2 / 3e0, 2 / 3e0);",
        database,
    )

    shown = mariadb_server.client(query, database).split("\n")[0].split("\t")
    headings = re.findall(r"(\w+)(?:,|\s+FROM)", re.sub(r"\([^)]*\)", "", query))

    assert shown == ["DL-TABNET", "12345", "101", "1", "0.3333", "0.6667", "0.6667", "1998", "aaaa"]
    assert len(headings) == len(shown)
    assert 1 + sum(max(map(len, pair)) + 3 for pair in zip(headings, shown, strict=True)) <= 80


def test_all_sql_of_the_pages_is_run() -> None:
    written = sum(page.read_text(encoding="utf-8").count("\n```sql\n") for page in PAGES)

    assert len(SQL) == written


def test_the_guide_starts_with_sql() -> None:
    assert len(SQL) >= 5
    assert SQL[0].text.startswith("INSERT INTO dc_batch")
