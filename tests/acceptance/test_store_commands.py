"""`deepcredit store`, and what launchers and `doctor` say of the model store."""

import subprocess

from sqlalchemy import insert

from launcher.commands import store
from pipeline.upkeep import survey
from storage.schema import dc_batch_picture
from tests.leftovers import left_behind


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
    assert "1 not ours, left alone, such as notes.txt\n" in text
    remedies = [line for line in text.splitlines() if "--delete" in line or "backup" in line]
    assert remedies == [
        "`deepcredit store check --delete` removes what is not needed",
        "restore what is missing from a backup, or run its batch again (models/T12: batch 12)",
    ]

    code, text, error = run("store", "check", "--delete")
    assert (code, text) == (1, "")
    assert error.startswith("error: folder ")
    assert "bears no mark of a database, so nothing is deleted there" in error
    assert run("store", "adopt")[0] == 0
    code, text, _ = run("store", "check", "--delete")
    assert (code, "2 deleted, 0.2 MB\n" in text) == (1, True)
    assert "--delete" not in text
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
    first = calls.value("SELECT database_id FROM dc_identity")
    assert run("store", "adopt")[1].endswith(f"belongs to this database, {first}\n")
    assert owner(run)[:2] == (0, "OK")

    second = "f" * 32
    calls.sql("UPDATE dc_identity SET database_id = :second", second=second)

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
    calls.add()

    code, level, line = owner(run)
    started, _, error = run("launcher", "L", "--drain")

    assert (code, level, started) == (1, "FAIL", 1)
    assert "is its disk mounted?" in line
    assert "is its disk mounted?" in error
    assert calls.states() == "I"  # it costs no batch one of its tries


def test_a_launcher_starts_whether_or_not_the_store_answers(run, tmp_path, monkeypatch):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "known_hosts").touch()
    monkeypatch.setenv("DEEPCREDIT_STORE_URL", "sftp://models@127.0.0.1:1/store")
    monkeypatch.setenv("DEEPCREDIT_SFTP_KEY_FILE", str(key))
    monkeypatch.setenv("DEEPCREDIT_SFTP_KNOWN_HOSTS", str(tmp_path / "known_hosts"))

    assert run("launcher", "L", "--drain")[0] == 0
    assert "cannot tell yet whose the model store is" in (tmp_path / "logs" / "L.log").read_text()


def test_a_launcher_starts_if_its_store_gives_no_answer(run, tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.service.store_look._LOOK", ("sleep", "60"))
    monkeypatch.setattr("launcher.service.store_look._PATIENCE_SECONDS", 0.2)

    assert run("launcher", "L", "--drain")[0] == 0
    said = (tmp_path / "logs" / "L.log").read_text()
    assert "cannot tell yet whose the model store is" in said
    assert "no answer in 0 s, from it or from the database" in said


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
