"""Operators' commands on servers, queues, batches and old rows."""

import os
import sqlite3
import subprocess
from contextlib import closing

import pytest
from sqlalchemy import insert, select, update

from launcher.cli import execute
from launcher.commands import store
from pipeline.upkeep import survey
from storage import batches, servers
from storage.columns import utc_now
from storage.schema import (
    dc_batch,
    dc_batch_picture,
    dc_candidate_model_list,
    dc_dataset,
    dc_identity,
    dc_model_list,
    dc_queue,
    dc_server,
)
from tests.calls import Calls
from tests.leftovers import left_behind


@pytest.fixture
def calls(tmp_path, monkeypatch, sqlite_engine):
    """Commands in a folder of its own find this database."""
    for name in os.environ:
        if name.startswith("DEEPCREDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{sqlite_engine.url.database}")
    return Calls(sqlite_engine)


@pytest.fixture
def run(calls, capsys):
    def execute_and_read(*words):
        capsys.readouterr()
        code = execute(words)
        return code, *capsys.readouterr()

    return execute_and_read


def column(calls, chosen):
    return list(calls(lambda connection: connection.scalars(select(chosen)).all()))


def test_a_server_is_paused_and_resumed(run, calls):
    assert run("server", "pause", "B") == (0, "B is not known yet; it starts paused\n", "")
    assert run("server", "pause", "B") == (0, "B is paused\n", "")
    assert column(calls, dc_server.c.paused) == [1]
    assert run("server", "resume", "B")[0] == 0
    assert column(calls, dc_server.c.paused) == []


def test_a_launcher_keeps_its_row_when_its_server_is_resumed(run, calls):
    at_work = {"identity": "i", "host": "h", "pid": 1, "version": "1", "slots": 1}
    calls(servers.register, server="B", **at_work)
    run("server", "pause", "B")
    assert run("server", "resume", "B")[0] == 0
    assert column(calls, dc_server.c.paused) == [0]


def test_resuming_a_server_that_is_not_there_names_those_that_are(run):
    run("server", "pause", "SERVER_1")

    code, _, error = run("server", "resume", "SERVER_2")

    known = "did you mean SERVER_1? there are: SERVER_1\n"
    assert (code, error) == (1, f"error: server SERVER_2 is not known; {known}")
    said = "SERVER_2 is not known yet; it starts paused\n"
    assert run("server", "pause", "SERVER_2") == (0, said, f"note: {known}")


def test_a_queue_is_paused_and_resumed(run, calls):
    assert run("queue", "pause", "night")[0] == 0
    assert column(calls, dc_queue.c.paused) == [1]
    assert run("queue", "resume", "night")[0] == 0
    assert column(calls, dc_queue.c.paused) == []


def test_a_batch_is_moved_up(run, calls):
    batch_id = calls.add()

    assert run("batch", "priority", str(batch_id), "7")[0] == 0
    assert calls(batches.read, batch_id).priority == 7
    assert run("batch", "priority", str(batch_id), "-5")[0] == 0
    assert calls(batches.read, batch_id).priority == -5
    assert run("batch", "priority", str(batch_id), "99999")[0] == 2
    assert run("batch", "priority", str(batch_id), "--later")[0] == 2
    assert run("batch", "priority", "999", "1")[0] == 1


@pytest.mark.parametrize(
    ("columns", "words", "remedy"),
    [
        ({"state": "U"}, "runs", ""),
        ({"state": "C"}, "is completed", ""),
        ({"state": "E"}, "has failed", "; `deepcredit batch retry 1` lets it wait"),
        (
            {"state": "E", "attempt": 1, "run_after": utc_now(1200)},
            "has failed",
            "; `deepcredit batch retry 1` lets it wait",
        ),
    ],
)
def test_only_a_batch_that_waits_is_moved_up(run, calls, columns, words, remedy):
    assert calls.add(**columns) == 1

    said = f"error: batch 1 {words}: nothing is changed, for priority tells among waiting batches"
    assert run("batch", "priority", "1", "7") == (1, "", f"{said} alone{remedy}\n")
    assert calls(batches.read, 1).priority == 100


def predicting(calls, **columns):
    """A predict batch that can run once its train batch is completed."""
    parent = calls.add()
    return calls.add(mode="predict", train_batch_id=parent, **columns)


def test_a_completed_batch_is_run_again(run, calls):
    batch_id = predicting(calls, state="C", attempt=2)

    assert run("batch", "rerun", str(batch_id)) == (0, f"batch {batch_id} waits to run\n", "")
    again = calls(batches.read, batch_id)
    assert (again.state, again.attempt) == ("I", 0)


@pytest.mark.parametrize(
    ("lever", "state", "columns", "code", "said"),
    [
        ("rerun", "C", {"batch_param": '{"scop": "all"}'}, 2, "did you mean scope?"),
        ("rerun", "U", {"dataset_group": "D", "dataset_version": 1}, 1, "unknown data set D/1"),
        ("retry", "E", {"train_batch_id": 99}, 1, "train_batch_id 99: there is no such batch"),
    ],
)
def test_what_would_end_at_once_is_not_put_back(run, calls, lever, state, columns, code, said):
    batch_id = predicting(calls, state=state, attempt=2)
    calls(lambda c: c.execute(update(dc_batch).where(dc_batch.c.state == state).values(columns)))

    answered, out, error = run("batch", lever, str(batch_id))

    assert (answered, out) == (code, "")
    assert said in error
    still = calls(batches.read, batch_id)
    assert (still.state, still.attempt) == (state, 2)


def test_a_batch_put_back_whose_sizes_are_doubtful_is_noted(run, calls):
    dataset = {"dataset_group": "D", "dataset_version": 1}
    row = dataset | {"table_name": "t", "n_rows": 1000, "content_sha256": "x"}
    calls(lambda c: c.execute(insert(dc_dataset).values(row)))
    model = {"model_no": 1, "model_id": "ML-RF", "model_group_id": "M"}
    calls(lambda c: c.execute(insert(dc_model_list).values(model)))
    batch_id = calls.add(state="E", model_group="M", batch_param='{"testSize": 30}', **dataset)

    code, out, error = run("batch", "retry", str(batch_id))

    assert (code, out) == (0, f"batch {batch_id} waits to run\n")
    assert error == "note: testSize 30: 30 of 1000 rows, not 30 %\n"


def test_a_batch_is_deleted_unless_it_is_needed(run, calls):
    needed, other = calls.add(state="C"), calls.add(state="C")
    row = {"candidate_id": "C001", "batch_id": needed, "model_no": 1, "model_sub_no": 1}
    calls(lambda c: c.execute(insert(dc_candidate_model_list).values(row)))

    assert run("batch", "delete", str(other))[0] == 0
    code, _, error = run("batch", "delete", str(needed))
    assert (code, "candidate list C001" in error) == (1, True)
    assert column(calls, dc_batch.c.batch_id) == [needed]
    said = f"batch {needed} is deleted; named by candidate list C001\n"
    assert run("batch", "delete", str(needed), "--force") == (0, said, "")
    assert column(calls, dc_batch.c.batch_id) == []


def test_status_is_printed_once_where_there_is_no_terminal(run, calls):
    calls.add(state="U", serve_server_id="A", mode="predict")
    calls.add()

    code, text, _ = run("status")

    assert code == 0
    assert "predict" in text
    assert "oldest waiting: batch 2" in text


def test_status_of_an_old_schema_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")

    assert execute(["status", "--once"]) == 1
    assert "deepcredit db upgrade" in capsys.readouterr().err


def test_old_batches_are_pruned_once_one_has_looked(run, calls):
    from_long_ago = {"state": "C", "work_end_date": utc_now(-100 * 86_400)}
    for _ in range(3):
        calls.add(**from_long_ago)
    kept = calls.add(state="C", work_end_date=utc_now())
    waiting = calls.add(train_batch_id=1)
    words = ("db", "prune", "--completed-before", "90d")

    code, text, _ = run(*words, "--dry-run")
    assert (code, text) == (
        0,
        "2 batches can go (batch 2 to 3); 1 stay because something refers to them\n",
    )
    code, text, error = run(*words)
    assert (code, text) == (
        0,
        "2 batches removed; 1 stay because something refers to them\n",
    )
    assert "2 of 2 batches" in error
    assert column(calls, dc_batch.c.batch_id) == [1, kept, waiting]
    assert run("db", "prune", "--completed-before", "soon")[0] == 2


def test_store_check_tells_and_deletes(run, calls, tmp_path):
    for uri in ("models/T1/1/1.f1.ubj", "models/T1/1/2.f1.ubj", "notes.txt"):
        file = tmp_path / "var" / "store" / uri
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 100_000)
    row = {"batch_id": 1, "sha256": "s", "bytes": 1}
    for name in ("n", "n\x1b[2J"):  # a name that would clear the screen
        named = row | {"name": name, "uri": f"ensembles/E1/{name}.png"}
        calls(lambda c, named=named: c.execute(insert(dc_batch_picture).values(named)))

    assert owner(run)[1] == "WARN"
    code, text, error = run("store", "check")
    assert code == 1
    missing = ("n\\x1b[2J", "n")
    assert error == "".join(f"error: missing: ensembles/E1/{name}.png\n" for name in missing)
    assert "left by a run that is over: models/T1/1/1.f1.ubj, 0.1 MB\n" in text
    assert "2 missing; 2 not needed, 0.2 MB\n" in text
    assert "1 are not ours and stay, such as notes.txt\n" in text

    code, text, error = run("store", "check", "--delete")
    assert (code, text) == (1, "")
    assert error.startswith("error: folder ")
    assert "bears no mark of a database, so nothing is deleted there" in error
    assert run("store", "adopt")[0] == 0
    code, text, _ = run("store", "check", "--delete")
    assert (code, "2 deleted, 0.2 MB\n" in text) == (1, True)
    assert [file.name for file in (tmp_path / "var" / "store").rglob("*.*")] == ["notes.txt"]


def owner(run):
    """What doctor says of it."""
    code, text, _ = run("doctor")
    (line,) = (line for line in text.splitlines() if "store owner" in line)
    return code, line.split(maxsplit=3)[0], line


def test_settings_that_name_the_store_of_another_database_cost_no_file(run, calls, tmp_path):
    model = tmp_path / "var" / "store" / "models" / "T1" / "1" / "1.f1.ubj"
    model.parent.mkdir(parents=True)
    assert owner(run)[:2] == (0, "OK")
    model.touch()
    code, level, line = owner(run)
    assert (code, level) == (0, "WARN")
    assert line.endswith("deepcredit store adopt")
    assert run("launcher", "L", "--drain")[0] == 0
    assert "deepcredit store adopt" in (tmp_path / "logs" / "L.log").read_text()
    (first,) = column(calls, dc_identity.c.database_id)
    assert run("store", "adopt")[1].endswith(f"belongs to this database, {first}\n")
    assert owner(run)[:2] == (0, "OK")

    second = "f" * 32
    calls(lambda c: c.execute(update(dc_identity).values(database_id=second)))

    for words in (
        ("store", "check", "--delete"),
        ("store", "check"),
        ("store", "adopt"),
        ("launcher", "L", "--drain"),
    ):
        code, text, error = run(*words)
        assert (code, text) == (1, ""), words
        assert f"belongs to the database {first}, and this one is {second}; " in error
    assert owner(run)[:2] == (1, "FAIL")
    assert model.exists()

    assert run("store", "adopt", "--from", first)[0] == 0
    code, text, _ = run("store", "check", "--delete")
    assert (code, "1 deleted, 0.0 MB\n" in text) == (0, True)


def test_what_another_database_puts_into_an_empty_store_while_we_look_stays(
    run, tmp_path, monkeypatch
):
    model = tmp_path / "var" / "store" / "models" / "T1" / "1" / "1.f1.ubj"

    def survey_late(*given):
        model.parent.mkdir(parents=True)
        model.touch()
        (tmp_path / "var" / "store" / "database").mkdir()
        (tmp_path / "var" / "store" / "database" / ("e" * 32)).touch()
        return survey(*given)

    monkeypatch.setattr(store, "survey", survey_late)

    code, _, error = run("store", "check", "--delete")

    assert (code, model.exists()) == (1, True)
    assert f"belongs to the database {'e' * 32}" in error


def test_doctor_and_launchers_ask_for_the_disk_of_a_store_that_should_not_be_empty(run, calls):
    row = {"batch_id": 1, "name": "n", "uri": "ensembles/E1/n.png", "sha256": "s", "bytes": 1}
    calls(lambda c: c.execute(insert(dc_batch_picture).values(row)))
    calls(lambda c: c.execute(insert(dc_batch).values(mode="train", state="I")))

    code, level, line = owner(run)
    started, _, error = run("launcher", "L", "--drain")

    assert (code, level, started) == (1, "FAIL", 1)
    assert "is its disk mounted?" in line
    assert "is its disk mounted?" in error
    assert column(calls, dc_batch.c.state) == ["I"]  # it costs no batch one of its tries


def test_a_launcher_starts_whether_or_not_the_store_answers(run, tmp_path, monkeypatch):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "known_hosts").touch()
    monkeypatch.setenv("DEEPCREDIT_STORE_URL", "sftp://models@127.0.0.1:1/store")
    monkeypatch.setenv("DEEPCREDIT_SFTP_KEY_FILE", str(key))
    monkeypatch.setenv("DEEPCREDIT_SFTP_KNOWN_HOSTS", str(tmp_path / "known_hosts"))

    assert run("launcher", "L", "--drain")[0] == 0
    assert "cannot tell yet whose the model store is" in (tmp_path / "logs" / "L.log").read_text()


def test_a_launcher_that_starts_removes_what_dead_processes_left(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    left = [left_behind(tmp_path / each) for each in ("tmp", "var/cache/scratch")]

    assert run("launcher", "L", "--drain")[0] == 0
    assert [each.exists() for each in left] == [False, False]


def test_a_launcher_that_cannot_write_its_cache_does_not_start(run):
    code, _, error = run("--set", "cache_dir=/dev/null/cache", "launcher", "L", "--drain")

    assert code == 2
    assert error.startswith("error: cache_dir: this user may not work in /dev/null/cache")


def test_a_launcher_that_cannot_look_at_its_store_says_why(run, monkeypatch):
    monkeypatch.setenv("DEEPCREDIT_STORE_URL", "sftp://models@127.0.0.1:1/store")
    monkeypatch.delenv("DEEPCREDIT_SFTP_KEY_FILE", raising=False)
    code, _, error = run("launcher", "L", "--drain")
    assert (code, error.splitlines()) == (2, [error.strip()])
    assert error.startswith("error: an SFTP store needs DEEPCREDIT_SFTP_KEY_FILE, or ")

    monkeypatch.setattr("launcher.service.store_look._LOOK", ("/bin/sh", "-c", "exit 9"))
    code, _, error = run("launcher", "L", "--drain")
    assert (code, error.splitlines()) == (1, [error.strip()])
    assert "look at the model store ended with exit code 9; what it printed says why" in error


def test_before_an_upgrade_no_batch_is_run_into_an_error(run, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{tmp_path / 'old.db'}")
    assert run("db", "upgrade")[0] == 0
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute("DROP TABLE dc_identity")  # as before migration 0008
        database.execute("INSERT INTO dc_batch (mode, state) VALUES ('train', 'I')")
        database.commit()

        for words in (("run", "1"), ("launcher", "L", "--drain")):
            code, _, error = run(*words)
            assert (code, "run `deepcredit db upgrade` first" in error) == (1, True), error

        assert database.execute("SELECT state FROM dc_batch").fetchall() == [("I",)]


def test_a_mistyped_path_is_no_new_database(tmp_path, monkeypatch, capsys):
    path = tmp_path / "nowhere" / "typo.db"
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", f"sqlite:///{path}")

    assert execute(["batch", "list"]) == 1
    assert f"there is no database {path}" in capsys.readouterr().err
    assert not path.parent.exists()
