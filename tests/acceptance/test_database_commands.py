"""Commands that make a database, check it, and say which one they mean."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage import migrate
from tests.calls import Calls
from tests.mariadb import MariaDB
from tests.terminal import Terminal
from tests.waiting import until

READING = (["batch", "list"], ["leaderboard"], ["model", "list"], ["dataset", "list"])


def test_an_embedded_database_that_is_not_there_is_an_error_that_says_what_to_run(
    bare: Terminal,
) -> None:
    for words in READING:
        assert "run `deepcredit db upgrade`" in bare.error(*words)


@pytest.mark.usefixtures("database")
def test_a_database_without_tables_is_an_error_that_says_what_to_run(bare: Terminal) -> None:
    for words in (*READING, ["queue", "pause", "q"], ["status", "--once"], ["launcher", "L"]):
        code, _, error = bare(*words)
        last = error.splitlines()[-1]
        assert (code, last) == (
            1,
            "error: the database has no tables yet; run `deepcredit db upgrade` first",
        )


def test_status_of_an_old_schema_says_what_to_do(bare: Terminal) -> None:
    said = bare.error("--database-url", "sqlite:///empty.db", "status", "--once")
    assert "deepcredit db upgrade" in said


def test_before_an_upgrade_no_batch_is_run_into_an_error(run: Terminal, calls: Calls) -> None:
    calls.sql("DROP TABLE dc_identity")  # as before migration 0008
    calls.add()

    for words in (("run", "1"), ("launcher", "L", "--drain")):
        code, _, error = run(*words)
        assert (code, "run `deepcredit db upgrade` first" in error) == (1, True), error

    assert calls.states() == "I"


def test_a_mistyped_path_is_no_new_database(bare: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "typo.db"

    for words in (("batch", "list"), ("db", "check")):
        said = bare.error("--database-url", f"sqlite:///{path}", *words)
        assert f"there is no database {path}" in said
        assert not path.parent.exists()


def test_upgrade_may_be_repeated_and_check_agrees(bare: Terminal) -> None:
    assert bare("db", "upgrade")[0] == 0
    assert bare("db", "upgrade")[0] == 0
    assert bare("db", "check")[0] == 0


@pytest.mark.usefixtures("database")
def test_a_step_of_an_upgrade_may_take_hours(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def look(engine: Engine, _: object) -> None:
        with engine.connect() as connection:
            limits.append(connection.connection.driver_connection._read_timeout)
        engine.dispose()

    monkeypatch.setattr(migrate, "upgrade", look)

    assert bare("db", "upgrade")[0] == 0
    assert limits[0] > 3600


def test_upgrade_says_which_database_it_means(bare: Terminal) -> None:
    """In a folder without deepcredit.toml it is the embedded one."""
    _, out, _ = bare("db", "upgrade")

    assert out.splitlines()[0] == "database sqlite:///var/deepcredit.db"


def test_check_names_what_differs(run: Terminal, calls: Calls) -> None:
    calls.sql("DROP VIEW v_batch")

    code, _, err = run("db", "check")

    assert code == 1
    assert "v_batch is missing" in err


@pytest.mark.usefixtures("database")
def test_grants_are_statements_that_mariadb_takes(bare: Terminal, mariadb_server: MariaDB) -> None:
    assert bare("db", "upgrade")[0] == 0

    code, out, _ = bare("db", "grants")

    assert code == 0
    mariadb_server.client(out)


def test_whoever_looks_is_told_into_which_database_but_no_password(
    bare: Terminal, database: str, mariadb_server: MariaDB
) -> None:
    (where,) = re.findall("^database .*$", bare("db", "upgrade")[1], re.MULTILINE)
    assert f":***@127.0.0.1:{mariadb_server.port}/{database}" in where

    assert bare("batch", "list")[2] == f"no batch in {where}\n"
    assert bare("status")[1].replace("\n", "").startswith(where)
    mariadb_server.client("INSERT INTO dc_batch (mode) VALUES ('train')", database)
    assert bare("batch", "list")[1].startswith(f"{where}\n")
    assert not bare("batch", "list", "--format", "json")[1].startswith("database")


def test_a_command_leaves_no_connection_behind(
    bare: Terminal, database: str, mariadb_server: MariaDB
) -> None:
    def connected() -> int:
        mine = "SELECT 1 FROM information_schema.processlist WHERE db = %s"
        with mariadb_server.connect() as connection, connection.cursor() as cursor:
            return cursor.execute(mine, (database,))

    for words in (["db", "upgrade"], ["batch", "list"], ["batch", "show", 7]):
        bare(*words)
        until(lambda: not connected(), 20)


@pytest.fixture
def account(
    database: str, bare: Terminal, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A new database of MariaDB, which commands find by an account that may read; its name."""
    bare("db", "upgrade")
    mariadb_server.client(bare("db", "grants")[1])
    mariadb_server.client(
        "CREATE OR REPLACE USER 'few'@'%' IDENTIFIED BY 'only';"
        "GRANT deepcredit_reader TO 'few'@'%'; SET DEFAULT ROLE deepcredit_reader FOR 'few'@'%'"
    )
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(database, user="few"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "only")
    return database


def test_who_lacks_a_right_is_told_which_role_has_it_and_how_it_is_given(
    bare: Terminal, account: str, mariadb_server: MariaDB
) -> None:
    assert bare("status")[0] == 0

    code, _, err = bare("queue", "pause", "night")
    assert code == 1
    assert f"UPDATE command denied to user 'few'@'127.0.0.1' for table `{account}`." in err
    (command,) = re.findall("`deepcredit (doctor .*)` says what gives this account the right", err)

    (lack,) = [line for line in bare(*command.split())[1].splitlines() if line.startswith("FAIL")]
    assert "the role operator the database account 'few'@'%' lacks INSERT, UPDATE, DEL" in lack
    (grant,) = re.findall("and then: (GRANT .*?; SET .*?;)", lack)
    mariadb_server.client(grant)
    assert bare("queue", "pause", "night")[0] == 0
