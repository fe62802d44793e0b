"""What the role of an operator, a launcher or a reader may do."""

from subprocess import CalledProcessError
from typing import Any

import pytest
from sqlalchemy import Engine, text

from configs.errors import DatabaseRefused
from storage import batches, claims, queues, servers, sweeping, taking
from storage.engine import make_engine
from storage.grants import ROLES, grants, how_to_give, role_for
from storage.offers import Offer
from tests.bank import ROOT
from tests.blocks import blocks
from tests.calls import Calls
from tests.conftest import SettingsFactory
from tests.mariadb import MariaDB


@pytest.fixture
def as_role(mariadb_engine: Engine, mariadb_server: MariaDB, settings: SettingsFactory) -> Any:
    """The calls of an account that has one role and nothing else."""
    admin = Calls(mariadb_engine)
    database = mariadb_engine.url.database or ""
    for statement in grants(database):
        admin.sql(statement)
    engines = []

    def give(role: str) -> Calls:
        admin.sql("CREATE OR REPLACE USER 'somebody'@'127.0.0.1' IDENTIFIED BY 'pw'")
        for statement in how_to_give(role):
            admin.sql(statement.replace("ACCOUNT", "somebody").replace("HOST", "127.0.0.1"))
        url = mariadb_server.url(database, user="somebody")
        engines.append(make_engine(settings(database_url=url, database_password="pw")))
        return Calls(engines[-1])

    yield give
    for engine in engines:
        engine.dispose()
    admin.sql("DROP USER IF EXISTS 'somebody'@'127.0.0.1'")
    for role in ROLES:
        admin.sql(f"DROP ROLE {role}")


def may(calls: Calls, statement: str) -> bool:
    try:
        calls(lambda connection: connection.execute(text(statement)))
    except DatabaseRefused:
        return False
    return True


def test_each_role_may_do_its_work_and_no_more(as_role: Any, mariadb_engine: Engine) -> None:
    admin = Calls(mariadb_engine)
    admin.sql("CREATE TABLE applicants (age INT)")

    operator = as_role("deepcredit_operator")
    number = operator.add()
    for lever in (batches.cancel, batches.retry, batches.rerun):
        operator(lever, number)
    operator(servers.pause, "S9")
    operator(queues.pause, "night")
    assert not may(operator, "UPDATE dc_batch_result SET auc = 1")
    assert not may(operator, "SELECT * FROM applicants")
    assert not may(operator, "DROP TABLE dc_queue")

    launcher = as_role("deepcredit_launcher")
    launcher.register("S1", identity="a")
    claim = launcher.take()
    launcher.beat(claim)
    launcher(claims.hold, claim)
    launcher.add_model(claim.batch_id)
    launcher.finish(claim)
    launcher(sweeping.sweep)
    launcher(taking.pending, Offer(server="S1"))
    launcher(servers.remove, "S1", "a")
    assert may(launcher, "SELECT * FROM applicants")
    assert not may(launcher, "INSERT INTO dc_batch (mode) VALUES ('train')")
    assert not may(launcher, "DELETE FROM dc_batch")
    assert not may(launcher, "UPDATE dc_dataset SET n_rows = 1")

    reader = as_role("deepcredit_reader")
    for name in ("v_batch", "v_leaderboard", "v_ensemble", "dc_batch"):
        assert may(reader, f"SELECT * FROM {name}")
    assert not may(reader, "SELECT * FROM applicants")
    assert not may(reader, "UPDATE dc_batch SET priority = 1")

    operator = as_role("deepcredit_operator")
    operator(batches.delete, number)


def test_the_guide_gives_a_role_to_an_account(
    mariadb_server: MariaDB, mariadb_engine: Engine
) -> None:
    page = blocks(ROOT / "docs" / "servers.md")
    give = next(block.text for block in page if block.language == "sql")
    database = mariadb_engine.url.database or ""
    mariadb_server.client(";".join(grants(database)))

    mariadb_server.client(give.replace("10.0.0.%", "127.0.0.%"))

    kim = {"user": "kim", "password": "..."}
    try:
        mariadb_server.client("INSERT INTO dc_batch (mode) VALUES ('train')", database, **kim)
        with pytest.raises(CalledProcessError) as refused:
            mariadb_server.client("UPDATE dc_batch_result SET auc = 1", database, **kim)
        assert "UPDATE command denied" in refused.value.stderr
    finally:
        mariadb_server.client("DROP USER 'kim'@'127.0.0.%'")
        mariadb_server.client(";".join(f"DROP ROLE {role}" for role in ROLES))


def test_names_in_grants_are_quoted_and_no_patterns() -> None:
    statements = grants("my_`db%")

    assert all("`my_``db%`.`" in s or s.startswith("CREATE ROLE") for s in statements[:-1])
    assert statements[-1] == "GRANT SELECT ON `my\\_``db\\%`.* TO `deepcredit_launcher`"


@pytest.mark.parametrize(
    ("verbs", "table", "role"),
    [
        (["SELECT"], "dc_batch", "deepcredit_reader"),
        (["SELECT"], "v_leaderboard", "deepcredit_reader"),
        (["SELECT", "INSERT"], "dc_batch", "deepcredit_operator"),
        (["DELETE"], "dc_model", "deepcredit_operator"),
        (["INSERT"], "dc_model", "deepcredit_launcher"),
        (["SELECT"], "dc_data_a_1", "deepcredit_launcher"),
        (["DROP"], "dc_data_a_1", None),
        (["CREATE"], "dc_batch", None),
    ],
)
def test_of_the_roles_that_may_the_one_is_named_that_may_the_least(
    verbs: list[str], table: str, role: str | None
) -> None:
    assert role_for(verbs, table) == role
