"""`deepcredit demo` as a newcomer runs it, small, and its steps."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.cells import cell_len
from sqlalchemy import insert, update

from configs.errors import DeepCreditError, WrongState
from configs.settings import Settings, load
from launcher.demo import steps
from launcher.demo.launcher import launcher, wait
from launcher.demo.other_shell import command_line, exports, needed_first
from launcher.demo.statements import submit
from launcher.terminal.options import GlobalOptions
from launcher.terminal.session import Session
from pipeline.datasets import load_file
from storage import batches, model_list
from storage.schema import dc_batch, dc_model_list
from tests.bank import environment
from tests.terminal import Terminal
from tests.waiting import alive, until

ONE_MODEL = """
[[model]]
model_no = 9001
model_id = "ML-XGB"
model_group_id = "DEMO"
param = { n_estimators = 10, grid = { max_depth = [1, 2, 3] } }
"""


@pytest.fixture
def session(sqlite_settings: Settings) -> Session:
    return Session(sqlite_settings)


@pytest.mark.slow
def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    assert _run(tmp_path, "db", "upgrade").returncode == 0
    _sql(tmp_path, "INSERT INTO dc_batch (batch_desc, mode, priority) VALUES ('mine', 'train', 1)")

    out = _demo(tmp_path, "--rows", "600")

    assert f"into the database sqlite:///{tmp_path}/deepcredit.db" in out
    assert f"and the model store {tmp_path}/store" in out
    assert "DEMO/1: 600 rows" in out
    assert "INSERT INTO dc_batch" in out
    assert "10 of 10 models, stored and loaded again, gave the very same test AUC" in out
    ranked = re.findall(r"^ *\d+ +(\S+) +2 +9\d{3}/\d +0\.\d{4}", out, re.MULTILINE)
    assert sorted(set(ranked)) == ["DL-DNN", "DL-TABNET", "ML-RF", "ML-XGB"]
    assert len(ranked) == 10
    assert re.search(r"^vote +answer +10 ", out, re.MULTILINE)

    found = _sql(tmp_path, "SELECT batch_desc, state, queue FROM dc_batch ORDER BY batch_id")
    assert found[0] == ("mine", "I", "default")
    assert [row[1:] for row in found[1:]] == [("C", "demo")] * 3

    statements = re.findall(r"^   INSERT .*?;$", out, re.MULTILINE | re.DOTALL)
    assert len(statements) == 4
    assert max(map(cell_len, "\n".join(statements).splitlines())) <= 80
    commands = re.findall(r"^ +(\S*/deepcredit .*)$", out, re.MULTILINE)
    exports = re.findall(r"^ +(export .*)$", out, re.MULTILINE)
    assert len(commands) == 9
    assert not re.search(r"^ +$", out, re.MULTILINE)
    assert any("DEEPCREDIT_DATABASE_URL=" in line for line in exports)
    for command in commands:
        assert "--database-url" not in command
        _in_a_fresh_shell("\n".join([*exports, command]), tmp_path)


def test_a_file_of_ones_own_that_cannot_be_used_is_an_error_before_anything_runs(
    bare: Terminal,
) -> None:
    Path("loans.csv").write_text("no,등급,arrears\n1,2,yes\n2,3,no\n", encoding="utf-8")
    words = ["demo", "--csv", "loans.csv", "--target"]

    missing = bare("demo", "--csv", "loan.csv", "--target", "arrears")
    assert (missing[0], "--csv: there is no file loan.csv" in missing[2]) == (2, True)
    assert [path.name for path in Path().iterdir()] == ["loans.csv"]

    unknown, unclear = bare(*words, "default"), bare(*words, "arrears", "--id", "no")

    assert unknown[0] == unclear[0] == 1
    assert "no column 'default'; its columns are: no, 등급, arrears" in unknown[2]
    assert "--positive" in unclear[2]
    assert not Path("logs").exists()


def test_applicants_that_an_earlier_demo_loaded_are_used_again(
    session: Session, tmp_path: Path
) -> None:
    assert steps.registered_before(session, 300) is None
    made = steps.made_up_applicants(tmp_path, 300)
    loaded = load_file(session.engine, made.path, group=made.group, choices=made.choices)

    assert steps.registered_before(session, 300) == loaded
    assert steps.registered_before(session, 400) is None


def test_a_model_file_that_a_person_changed_is_kept_and_used(
    session: Session, tmp_path: Path
) -> None:
    assert steps.put_models(session, tmp_path) == 10
    (tmp_path / "models.toml").write_text(ONE_MODEL, encoding="utf-8")

    assert steps.put_models(session, tmp_path) == 3
    assert (tmp_path / "models.toml").read_text(encoding="utf-8") == ONE_MODEL


def test_a_number_that_another_groups_model_has_is_left_to_it(
    session: Session, tmp_path: Path
) -> None:
    assert steps.put_models(session, tmp_path) == 10
    theirs = {"model_no": 9003, "model_id": "ML-RF", "model_group_id": "M900"}
    session.write(
        lambda connection: connection.execute(
            update(dc_model_list).values(theirs).where(dc_model_list.c.model_no == 9003)
        )
    )
    before = session.read(model_list.listing)
    file = tmp_path / "models.toml"
    changed = file.read_text(encoding="utf-8").replace("n_estimators = 150", "n_estimators = 15")
    file.write_text(changed, encoding="utf-8")

    with pytest.raises(WrongState, match=r"^model_no 9003 .* group M900; .*models\.toml"):
        steps.put_models(session, tmp_path)

    assert session.read(model_list.listing) == before
    file.write_text(changed.replace("9003", "9903"), encoding="utf-8")
    assert steps.put_models(session, tmp_path) == 10
    kept = [each for each in session.read(model_list.listing) if each.model_group_id == "M900"]
    assert kept == [each for each in before if each.model_group_id == "M900"]


def test_a_statement_is_run_as_it_is_shown_on_both_databases(database_settings: Settings) -> None:
    session = Session(database_settings)
    text = r"it's 100 % of C:\\new, %s :name 신용 VALUES ('a',  'b') FROM t " + "so long  " * 9

    sql = steps.statement(session, mode="train", batch_desc=text)
    number = submit(session, sql)

    stored = session.read(lambda connection: batches.read(connection, number))
    session.engine.dispose()
    assert "100 % of" in sql
    assert re.findall(r"^ *", sql, re.MULTILINE) == ["", "", 4 * " ", 4 * " "], sql
    assert stored is not None
    assert stored.batch_desc == text


def test_a_launcher_that_ends_early_is_told_of_with_its_last_words(session: Session) -> None:
    number = submit(session, steps.statement(session, mode="train"))
    wrong = Session(session.settings, GlobalOptions({"no_such_setting": "1"}))

    with (
        launcher(wrong, steps.NAME, steps.QUEUE) as running,
        pytest.raises(DeepCreditError, match=r"ended before batch 1: .*no_such_setting"),
    ):
        wait(session, running, number, lambda share, note: None)


def test_an_error_that_will_be_retried_in_twenty_minutes_ends_the_demo(session: Session) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    row = {"mode": "train", "state": "E", "attempt": 1, "work_end_date": now, "error_text": "away"}
    later = insert(dc_batch).values(row | {"run_after": now + timedelta(minutes=20)})
    session.write(lambda connection: connection.execute(later))
    settings = session.settings
    names = ("database_url", "store_url", "scheduler", "workers", "log_dir")
    options = GlobalOptions({name: str(getattr(settings, name)) for name in names})

    with (
        launcher(Session(settings, options), steps.NAME, steps.QUEUE) as running,
        pytest.raises(DeepCreditError, match=r"batch 1 failed: away; see .*DEMO\.log"),
    ):
        wait(session, running, 1, lambda share, note: None)


def test_a_demo_that_is_killed_takes_its_launcher_along_which_gives_its_batch_back(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "launcher", "demo", "--rows", "300"],
        cwd=tmp_path,
        env=environment(tmp_path, WORKERS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(lambda: _said(tmp_path, "embedded cluster started"), 120)
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()

    until(lambda: not any(alive(each.pid) for each in started), 30)
    assert _said(tmp_path, "launcher stopped")
    assert _sql(tmp_path, "SELECT state, attempt FROM dc_batch") == [("I", 0)] * 2


@pytest.mark.parametrize(
    ("overrides", "exported"),
    [
        ({}, []),
        (
            {"database_url": "sqlite:///my bank.db"},
            ["export DEEPCREDIT_DATABASE_URL='sqlite:///my bank.db'"],
        ),
        ({"poll_seconds": 0.5}, ["export DEEPCREDIT_POLL_SECONDS=0.5"]),
    ],
)
def test_what_another_shell_does_not_know_is_shown_once_and_no_secret(
    overrides: dict[str, Any], exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "other.toml"
    config.write_text("workers = 3\n", encoding="utf-8")
    environ = {"DEEPCREDIT_DATABASE_PASSWORD": "geheim"}
    settings = load(overrides, environ=environ, file=config)

    session = Session(settings, GlobalOptions(config=config))

    program = str(Path(sys.executable).with_name("deepcredit"))
    assert shlex.split(command_line(session)) == [program, f"--config={config}"]
    assert exports(session) == exported


@pytest.mark.parametrize(
    ("overrides", "environ", "whose"),
    [
        ({"store_url": "elsewhere"}, {}, "Your"),
        ({}, {"DEEPCREDIT_STORE_URL": "elsewhere"}, "Another"),
        ({}, {}, None),
    ],
)
def test_this_shell_is_named_where_options_gave_the_settings(
    overrides: dict[str, Any], environ: dict[str, str], whose: str | None
) -> None:
    settings = load(overrides, environ=environ)

    said = needed_first(Session(settings, GlobalOptions(overrides)))

    lines = [f"# {whose} shell needs these first:", "export DEEPCREDIT_STORE_URL=elsewhere"]
    assert said == (lines if whose else [])


def test_the_command_of_an_environment_in_this_folder_is_shown_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(sys.prefix).parent)

    shown = command_line(Session(load(environ={})))

    assert shown == f"{Path(sys.prefix).name}/bin/deepcredit"


def _sql(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "deepcredit.db")) as database, database:
        return database.execute(statement).fetchall()


def _in_a_fresh_shell(command: str, folder: Path) -> None:
    known = {name: value for name, value in os.environ.items() if "DEEPCREDIT_" not in name}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=known, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), command


def _said(folder: Path, words: str) -> bool:
    log = folder / "logs" / "DEMO.log"
    return log.exists() and words in log.read_text(encoding="utf-8")


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "launcher", *words],
        cwd=folder,
        env=environment(folder, WORKERS="1"),  # each one loads the libraries
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )


def _demo(folder: Path, *options: str) -> str:
    done = _run(folder, "demo", *options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
