"""A run whose connections to the database break, or whose COMMITs are answered by nobody."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, make_url, select, text

from configs.errors import DatabaseUnavailable, LeaseLost
from launcher.service.daemon import Daemon
from launcher.service.profile import Profile
from pipeline import context as contexts
from pipeline.context import Context
from storage import model_list
from storage.engine import make_engine, reading, transaction
from storage.records import ModelEntry
from storage.schema import (
    dc_batch_attempt,
    dc_batch_detail_t4,
    dc_batch_method,
    dc_batch_picture,
    dc_batch_result,
    dc_batch_result_t4,
    dc_ensemble_model,
    dc_model,
    dc_score_band,
)
from tests.lab import Lab
from tests.mariadb import PASSWORD
from tests.proxy import proxied

TREES = [("ML-XGB", '{"n_estimators": 4, "grid": {"max_depth": [2, 3, 4]}}')]
SMALL = {"ensembles": 30_000, "members": 2, "rounds": 3, "keep": 20}
DIFFERS = ("fence", "uri", "scores_uri", "seconds", "fit_seconds", "predict_seconds", "sha256")


@pytest.fixture
def lab(mariadb_settings, tmp_path):
    return Lab(mariadb_settings, tmp_path)


def put(connection: Connection, context: Context) -> None:
    row = {"batch_id": context.claim.batch_id, "name": "x", "uri": "x", "sha256": "x", "bytes": 1}
    connection.execute(text("DELETE FROM dc_batch_picture"))
    connection.execute(insert(dc_batch_picture).values(row))


def pictures(lab: Lab) -> int:
    with reading(lab.engine) as connection:
        return len(connection.execute(select(dc_batch_picture)).all())


@pytest.mark.parametrize("how", ["read", "commit", "commit_many"])
def test_what_a_killed_connection_interrupts_is_done_again(lab, mariadb_server, how):
    context = lab.context()
    tries = []

    def work(connection):
        tries.append(connection.scalar(text("SELECT CONNECTION_ID()")))
        if how != "read":
            put(connection, context)
        if len(tries) < 3:
            with mariadb_server.connect() as other:
                other.cursor().execute(f"KILL CONNECTION {tries[-1]}")
        return connection.scalar(text("SELECT 7"))

    assert getattr(context, how)(work) == 7
    assert len(set(tries)) == 3
    assert pictures(lab) == (how != "read")


def test_a_commit_whose_answer_is_lost_is_made_again(lab, mariadb_server):
    with proxied(mariadb_server.port) as proxy:
        engine = make_engine(proxy.before(lab.settings))
        context = lab.context(engine=engine)
        proxy.lose_answer_to(b"COMMIT")
        context.commit(lambda connection: put(connection, context))
        engine.dispose()

    assert proxy.answer_was_lost
    assert pictures(lab) == 1


def test_a_batch_that_is_lost_meanwhile_is_not_written(lab, mariadb_server):
    context = lab.context()

    def work(connection):
        number = connection.scalar(text("SELECT CONNECTION_ID()"))
        with mariadb_server.connect() as other:
            other.cursor().execute(f"KILL CONNECTION {number}")
        lab.again(context.claim.batch_id)
        put(connection, context)

    with pytest.raises(LeaseLost):
        context.commit(work)
    assert pictures(lab) == 0


def test_a_database_that_stays_away_ends_the_run(lab, monkeypatch):
    away = lab.settings.model_copy(
        update={"database_url": "mariadb+pymysql://u@127.0.0.1:1/d", "lease_seconds": 60}
    )
    context = lab.context(settings=away, engine=make_engine(away))
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(contexts, "time", clock)

    with pytest.raises(DatabaseUnavailable):
        context.read(lambda connection: None)
    assert 55 <= sum(slept) < 60
    longest = [min(0.1 * 2**n, 5.0) for n in range(len(slept))]
    assert all(most / 2 <= each <= most for each, most in zip(slept, longest, strict=True))


# Every writer may run again.


def answered_by_nobody(engine: Any, work: Callable[[Connection], Any]) -> Any:
    """What is committed first, then committed again because nobody said that it was."""
    transaction(engine, work)
    return transaction(engine, work)


@pytest.fixture
def small_lab(sqlite_settings, tmp_path):
    lab = Lab(sqlite_settings, tmp_path)
    lab.load_applicants()
    return lab


def left(lab: Lab, batch_id: int, tables: tuple[Any, ...]) -> list[Any]:
    kept = [
        [name for name in DIFFERS if name in table.c and not table.c[name].primary_key]
        for table in tables
    ]
    return [lab.rows(table, batch_id, *names) for table, names in zip(tables, kept, strict=True)]


def test_modes_that_commit_everything_twice_leave_the_same(small_lab, monkeypatch):
    lab = small_lab
    named = {"dataset_group": "DATA001", "dataset_version": 1}
    done: dict[str, int] = {}
    steps: dict[str, Callable[[], int]] = {
        "train": lambda: lab.train_each(TREES),
        "predict": lambda: lab.predict(done["train"], **named),
        "ensemble": lambda: lab.ensemble(SMALL),
        "predict by ensemble": lambda: lab.predict(done["ensemble"], **named),
    }
    tables = (
        *(dc_model, dc_batch_result, dc_batch_result_t4, dc_batch_detail_t4, dc_batch_method),
        *(dc_ensemble_model, dc_score_band),
    )
    for name, run in steps.items():
        done[name] = run()
        if name == "train":
            lab.list_models("C001", [(done["train"], 1, sub) for sub in (1, 2, 3)])
        with monkeypatch.context() as patch:
            patch.setattr(contexts, "transaction", answered_by_nobody)
            twice = run()
        assert left(lab, twice, tables) == left(lab, done[name], tables), name


# A real child.


def test_a_child_that_loses_connections_completes_its_first_attempt(
    lab, mariadb_server, monkeypatch
):
    """The server itself kills the connection that commits a model, in the middle of it."""
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    lab.load_applicants()
    params = '{"n_estimators": 5, "grid": {"max_depth": [2, 3, 4]}}'
    entry = ModelEntry(
        model_no=1, model_id="ML-XGB", model_group_id="M", model_param=params, use_yn="Y",
        model_desc=None,
    )  # fmt: skip
    lab(model_list.put, [entry])
    batch_id = lab.add(mode="train", dataset_group="DATA001", dataset_version=1, model_group="M")
    database = make_url(lab.settings.database_url).database
    with mariadb_server.connect(database) as other, other.cursor() as cursor:
        # No transaction takes back what an Aria table of this kind was told.
        cursor.execute("CREATE TABLE killed (n INT) ENGINE=Aria TRANSACTIONAL=0 SELECT 0 AS n")
        cursor.execute(
            "CREATE TRIGGER kill_writer BEFORE INSERT ON dc_model FOR EACH ROW "
            "IF (SELECT n FROM killed) < 4 THEN UPDATE killed SET n = n + 1; "
            "KILL CONNECTION CONNECTION_ID(); END IF"
        )
        try:
            settings = lab.settings.model_copy(update={"workers": 1})
            assert Daemon(settings, Profile(server_id="B"), drain=True).run() == 0
            cursor.execute("SELECT n FROM killed")
            killed = cursor.fetchone()
        finally:
            cursor.execute("DROP TRIGGER kill_writer")
            cursor.execute("DROP TABLE killed")

    assert killed == (4,)
    assert len(lab.rows(dc_model, batch_id)) == 3
    with reading(lab.engine) as connection:
        outcomes = connection.scalars(select(dc_batch_attempt.c.outcome)).all()
    assert outcomes == ["C"]
