from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage.schema import dc_batch
from tests.mariadb import running_mariadb


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_test_starts_with_an_empty_database(engine: Engine, time: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_over (a INTEGER)"))
        connection.execute(dc_batch.insert().values(mode="train"))
        assert connection.scalar(dc_batch.select().with_only_columns(dc_batch.c.batch_id)) == 1


def test_a_server_that_starts_leaves_the_temporary_tables_of_others_alone(
    mariadb_engine: Engine, tmp_path: Path
) -> None:
    with mariadb_engine.begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE passing (a INTEGER) ENGINE=Aria"))
        with running_mariadb(tmp_path):
            pass

        assert connection.scalar(text("SELECT COUNT(*) FROM passing")) == 0
