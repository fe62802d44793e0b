"""From nothing to the schema of the code, by one process or two, and what `db check` notices."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from configs.errors import DatabaseUnavailable, WrongSchema
from configs.settings import Settings
from storage import batches, migrate, results, score_bands
from storage.drift import differences
from storage.engine import make_engine
from storage.schema import metadata
from tests.conftest import SettingsFactory
from tests.mariadb import PASSWORD, MariaDB


@pytest.fixture
def mariadb_blank(mariadb_server: MariaDB, settings: SettingsFactory) -> Iterator[Settings]:
    name = mariadb_server.new_database()
    yield settings(**mariadb_server.settings(name))
    mariadb_server.drop_database(name)


@pytest.fixture
def sqlite_blank(settings: SettingsFactory) -> Settings:
    return settings()


@pytest.fixture(params=["sqlite", "mariadb"])
def blank_settings(request: pytest.FixtureRequest) -> Settings:
    """Of an empty database, without a table."""
    found: Settings = request.getfixturevalue(f"{request.param}_blank")
    return found


@pytest.fixture
def blank(blank_settings: Settings) -> Iterator[Engine]:
    engine = make_engine(blank_settings)
    yield engine
    engine.dispose()


HOUSE = Path(__file__).parents[2]
VERSIONS = len(list((HOUSE / "migrations" / "versions").glob("[0-9]*.py")))
UPGRADE = """
import os, sys
from pathlib import Path
from configs.settings import load
from storage.engine import make_engine
from storage.migrate import check, upgrade

given = {"database_url": sys.argv[1], "database_password": os.environ["PASSWORD"]}
engine = make_engine(load(given, environ={}, file=Path("none")))
upgrade(engine, lambda line: print(line, flush=True))
assert check(engine) == []
"""


def upgrade(engine: Engine) -> list[str]:
    said: list[str] = []
    migrate.upgrade(engine, said.append)
    return said


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_an_empty_database_becomes_the_schema_of_the_code(blank: Engine) -> None:
    assert migrate.current(blank) is None
    assert migrate.check(blank) == ["the database has no tables yet; run `deepcredit db upgrade`"]

    said = upgrade(blank)

    assert said[0] == "0001: The tables of the first release."
    assert len(said) == VERSIONS + 1
    assert said[-1].startswith(f"schema version {migrate.head()}, views v_batch")
    assert migrate.current(blank) == migrate.head()
    assert migrate.check(blank) == []
    with blank.connect() as connection:
        # A second opinion, of a tool that knows less of defaults but more of columns.
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_upgrading_again_keeps_rows_and_changes_nothing(blank: Engine) -> None:
    upgrade(blank)
    with blank.begin() as connection:
        number = batches.add(connection, mode="train")

    said = upgrade(blank)

    assert len(said) == 1
    assert migrate.check(blank) == []
    with blank.connect() as connection:
        assert batches.read(connection, number) is not None


def test_models_of_before_lack_what_was_not_kept_of_them(blank: Engine) -> None:
    upgrade(blank)
    columns = "fence, model_id, params, threshold, uri, format, sha256, bytes, scores_uri, "
    columns += "scores_sha256, split_id, preprocessor_uri, preprocessor_sha256, fingerprint"
    values = "1, 'ML-RF', '{}', 0.5, 'u', 'f', 's', 1, 'u', 's', 's', 'u', 's', 'f'"
    run(
        blank,
        *(f"DROP VIEW {name}" for name in inspect(blank).get_view_names()),
        *(
            f"ALTER TABLE dc_model DROP COLUMN {name}"
            for name in ("device", "row_keys_uri", "row_keys_sha256", "batch_param")
        ),
        "ALTER TABLE dc_batch_result DROP COLUMN psi",
        "DROP TABLE dc_score_band",
        "UPDATE dc_schema_version SET version_num = '0005'",
        f"INSERT INTO dc_model (batch_id, model_no, model_sub_no, {columns}) "
        f"VALUES (1, 2, 3, {values})",
    )

    upgrade(blank)

    assert migrate.check(blank) == []
    with blank.connect() as connection:
        (model,) = results.models(connection, 1)
        assert score_bands.rows_by_band(connection, 1, "test") == {}
    assert (model.device, model.row_keys_uri, model.row_keys_sha256, model.batch_param) == (
        None,
    ) * 4


def test_two_at_once_come_to_the_same_end(blank_settings: Settings) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", UPGRADE, blank_settings.database_url],
            env={"PYTHONPATH": str(HOUSE), "PASSWORD": PASSWORD},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    one, other = sorted(said, key=len)
    assert len(one) == 1  # it found everything done
    assert len(other) == VERSIONS + 1
    engine = make_engine(blank_settings)
    assert migrate.check(engine) == []
    engine.dispose()


def test_a_transaction_that_stays_open_holds_up_an_upgrade_for_a_moment_and_is_told_of(
    mariadb_blank: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine._TABLE_SECONDS", 1)
    engine = make_engine(mariadb_blank)
    upgrade(engine)

    with engine.connect() as operator:
        operator.execute(text("SELECT * FROM v_batch"))
        with pytest.raises(DatabaseUnavailable, match=r"transaction open.* let it COMMIT"):
            upgrade(engine)

    upgrade(engine)
    assert migrate.check(engine) == []
    engine.dispose()


def test_a_run_that_was_interrupted_is_taken_up(mariadb_blank: Settings) -> None:
    # MariaDB commits each statement of a migration by itself.
    engine = make_engine(mariadb_blank)
    upgrade(engine)
    run(
        engine,
        "DELETE FROM dc_schema_version",
        "DROP VIEW v_ensemble",
        "DROP TABLE dc_queue, dc_server, dc_batch_detail_t4",
        "DROP INDEX k_t4_rank ON dc_batch_result_t4",
    )

    upgrade(engine)

    assert migrate.check(engine) == []
    engine.dispose()


def test_the_other_systems_tables_are_left_alone(blank: Engine) -> None:
    run(
        blank,
        "CREATE TABLE dc_batch (batch_id INTEGER PRIMARY KEY, state CHAR(1))",
        "INSERT INTO dc_batch VALUES (7, 'E')",
    )

    with pytest.raises(WrongSchema, match="dc_batch of another system; rename"):
        upgrade(blank)

    assert inspect(blank).get_table_names() == ["dc_batch"]


def test_what_a_restore_that_broke_off_has_left_is_not_made_whole(blank: Engine) -> None:
    upgrade(blank)
    run(
        blank,
        "INSERT INTO dc_batch (mode) VALUES ('train')",
        "DROP VIEW v_leaderboard",
        "DROP TABLE dc_schema_version",
        "DROP TABLE dc_split",
    )

    with pytest.raises(WrongSchema, match=r"^dc_batch holds batches, .* restore the whole backup"):
        upgrade(blank)

    assert not inspect(blank).has_table("dc_split")


def test_a_database_of_a_newer_version_is_left_alone(blank: Engine) -> None:
    upgrade(blank)
    run(blank, "UPDATE dc_schema_version SET version_num = '9999'")

    with pytest.raises(WrongSchema, match=r"9999.*install a newer deepcredit"):
        upgrade(blank)
    with pytest.raises(WrongSchema, match=r"9999.*run `deepcredit db upgrade`"):
        migrate.require(blank)
    assert "schema version is 9999" in migrate.check(blank)[0]


def test_those_who_need_the_tables_are_told_how_to_make_them(blank: Engine) -> None:
    with pytest.raises(WrongSchema, match=r"no tables yet.*run `deepcredit db upgrade`"):
        migrate.require(blank)

    upgrade(blank)
    migrate.require(blank)


CHANGES_OF_TABLES = [
    ("ALTER TABLE dc_batch DROP COLUMN progress_note", "dc_batch lacks: `progress_note`"),
    ("ALTER TABLE dc_batch ADD COLUMN mine INT", "dc_batch has, and the code has not: `mine`"),
    ("ALTER TABLE dc_batch ALTER COLUMN priority SET DEFAULT 5", "`priority` smallint(6)"),
    ("ALTER TABLE dc_batch DROP INDEX k_claim", "dc_batch lacks: KEY `k_claim`"),
    ("ALTER TABLE dc_batch DROP CONSTRAINT dc_batch_state", "lacks: CONSTRAINT `dc_batch_state`"),
    (
        "ALTER TABLE dc_batch MODIFY created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        "DEFAULT utc_timestamp(6)",
    ),
    (
        """ALTER TABLE dc_batch DROP INDEX u_running, DROP COLUMN running_key,
        ADD COLUMN running_key VARCHAR(100)
        GENERATED ALWAYS AS (IF(state = 'I', concurrency_key, NULL)) VIRTUAL,
        ADD UNIQUE INDEX u_running (running_key)""",
        "`running_key` varchar(100) GENERATED ALWAYS AS (if(`state` = 'U'",
    ),
    ("ALTER TABLE dc_batch_result MODIFY auc FLOAT", "`auc` double"),
    ("ALTER TABLE dc_server CONVERT TO CHARACTER SET latin1", "COLLATE=utf8mb4_bin"),
    ("ALTER TABLE dc_server ENGINE=Aria", "ENGINE=InnoDB"),
    ("DROP TABLE dc_queue", "dc_queue is missing"),
]
CHANGES_OF_VIEWS = [
    ("DROP VIEW v_leaderboard", "v_leaderboard is missing"),
    ("ALTER VIEW v_batch AS SELECT 1 AS one", "v_batch lacks: select "),
    (
        "ALTER SQL SECURITY DEFINER VIEW v_ensemble AS SELECT 1 AS one",
        "v_ensemble lacks: SQL SECURITY INVOKER",
    ),
]


def test_check_notices_every_change_on_mariadb(mariadb_blank: Settings) -> None:
    engine = make_engine(mariadb_blank)
    upgrade(engine)
    # Tables last: until they agree, views are not looked at.
    for changes in (CHANGES_OF_VIEWS, CHANGES_OF_TABLES):
        run(engine, *(statement for statement, _ in changes))
        with engine.connect() as connection:
            found = differences(connection)
        for statement, words in changes:
            assert any(words in line for line in found), (statement, found)
    engine.dispose()


CHANGES_OF_SQLITE = [
    ("ALTER TABLE dc_batch ADD COLUMN mine INT", "dc_batch has, and the code has not: mine INT"),
    ("DROP INDEX k_claim", "dc_batch lacks: CREATE INDEX k_claim"),
    ("DROP INDEX u_running", "dc_batch lacks: CREATE UNIQUE INDEX u_running"),
    ("DROP TABLE dc_queue", "dc_queue is missing"),
    ("DROP VIEW v_batch", "v_batch is missing"),
]


@pytest.mark.parametrize(("statement", "words"), CHANGES_OF_SQLITE)
def test_check_notices_every_change_on_sqlite(
    sqlite_engine: Engine, statement: str, words: str
) -> None:
    run(sqlite_engine, statement)

    assert any(words in line for line in migrate.check(sqlite_engine))


def test_check_looks_at_no_other_table_and_leaves_nothing_behind(blank: Engine) -> None:
    upgrade(blank)
    run(blank, "CREATE TABLE applicants (age INTEGER)", "CREATE VIEW young AS SELECT 1 AS one")
    names = inspect(blank).get_table_names(), inspect(blank).get_view_names()

    assert migrate.check(blank) == []

    assert (inspect(blank).get_table_names(), inspect(blank).get_view_names()) == names


def test_views_that_were_changed_are_made_anew(mariadb_blank: Settings) -> None:
    engine = make_engine(mariadb_blank)
    upgrade(engine)
    run(engine, "ALTER VIEW v_batch AS SELECT 1 AS one", "DROP VIEW v_ensemble")

    upgrade(engine)

    assert migrate.check(engine) == []
    engine.dispose()


def test_the_real_client_sees_what_operators_expect(
    mariadb_engine: Engine, mariadb_server: MariaDB
) -> None:
    database = mariadb_engine.url.database or ""
    insert = "INSERT INTO dc_batch (mode, batch_desc) VALUES ('train', '신용')"
    mariadb_server.client(insert, database)
    shown = mariadb_server.client("SELECT batch_id, state, batch_desc FROM dc_batch", database)
    assert shown == "1\tI\t신용\n"

    for state in ("i", "X", ""):
        with pytest.raises(subprocess.CalledProcessError) as error:
            mariadb_server.client(f"INSERT INTO dc_batch (state) VALUES ('{state}')", database)
        assert "dc_batch_state" in error.value.stderr
