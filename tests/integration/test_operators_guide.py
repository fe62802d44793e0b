"""The SQL of the operator's guide, as it stands there, through the mariadb client."""

import pytest
from sqlalchemy import Engine

from configs.settings import Settings
from tests.bank import ROOT
from tests.blocks import Block, blocks
from tests.mariadb import MariaDB

SQL = [block for block in blocks(ROOT / "docs" / "operators.md") if block.language == "sql"]


@pytest.mark.parametrize("block", SQL, ids=lambda block: block.text.splitlines()[0][:60])
def test_the_sql_of_the_guide_runs(
    block: Block, mariadb_server: MariaDB, mariadb_settings: Settings, mariadb_engine: Engine
) -> None:
    mariadb_server.client(block.text, mariadb_engine.url.database or "")


def test_the_guide_starts_with_sql() -> None:
    assert len(SQL) >= 5
    assert SQL[0].text.startswith("INSERT INTO dc_batch")
