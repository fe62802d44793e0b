import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from sqlalchemy import Engine, delete, insert, literal, update
from typer.core import TyperGroup

from configs.settings import Settings, load
from launcher.cli import execute
from launcher.terminal import folder
from storage import candidates, servers
from storage.columns import utc_now
from storage.engine import make_engine
from storage.schema import dc_batch, dc_batch_result, dc_dataset, dc_model, dc_server
from tests.bank import environment
from tests.mariadb import PASSWORD, MariaDB

Run = Callable[..., tuple[int, str, str]]

APPLICANTS = """번호,나이,지역,소득,연체
1,34,서울,3200,0
2,51,부산,96,1
3,28,서울,2800,0
4,45,대구,,1
5,39,서울,4100,0
6,62,부산,3900,1
"""
MODELS = """
[[model]]
model_no = 1
model_id = "ML-XGB"
model_group_id = "M100"
model_desc = "부스팅"
param = { n_estimators = 20, grid = { max_depth = [2, 3] } }

[[model]]
model_no = 2
model_id = "ML-RF"
model_group_id = "M100"
use_yn = "N"
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder with default settings: exit code, stdout, stderr."""
    for name in os.environ:
        if name.startswith("DEEPCREDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def execute_and_read(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = execute(words)
        return code, *capsys.readouterr()

    return execute_and_read


@pytest.fixture
def ready(run: Run) -> Run:
    """As `run`, with a database."""
    assert run("db", "upgrade")[0] == 0
    return run


@pytest.fixture
def engine(ready: Run) -> Iterator[Engine]:
    made = make_engine(load())
    yield made
    made.dispose()


def _error(answer: tuple[int, str, str], code: int) -> str:
    """The one line of an error that a command ended with."""
    assert answer[0] == code, answer
    assert answer[1] == ""
    (line,) = answer[2].splitlines()
    assert line.startswith("error: ")
    return line


def _leaves() -> Iterator[list[str]]:
    for name in folder.names():
        command = folder.load(name)
        if isinstance(command, TyperGroup):
            yield from ([name, below] for below in command.commands)
        else:
            yield [name]


# --- help, usage, exit codes


@pytest.mark.parametrize("words", list(_leaves()), ids=" ".join)
def test_every_command_has_help_with_an_example_that_names_it(run: Run, words: list[str]) -> None:
    code, out, err = run(*words, "--help")

    assert (code, err) == (0, "")
    assert f"deepcredit {' '.join(words)}" in out.partition("Example:")[2]
    assert max(map(len, out.splitlines())) <= 100


def test_the_listing_says_of_each_command_what_its_own_help_says(run: Run) -> None:
    _, out, _ = run("--help")

    for name in folder.names():
        assert re.search(rf"^  {name} +\S.*[^.][.]$", out, re.MULTILINE), name  # and is not cut


@pytest.mark.parametrize("name", sorted({words[0] for words in _leaves() if len(words) > 1}))
def test_a_groups_listing_has_a_whole_sentence_of_each_command_at_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(name, "--help")[1].partition("Commands:\n")[2].splitlines()

    assert lines
    assert [line for line in lines if not re.fullmatch(r"  \w+ +\S.*[^.][.]", line)] == []


def test_help_imports_none_of_the_libraries_that_take_long() -> None:
    heavy = "torch sklearn pandas numpy pyarrow sqlalchemy distributed dask alembic rich xgboost"
    code = (
        "import sys; from launcher.cli import execute; assert execute(['--help']) == 0; "
        f"assert not set('{heavy}'.split()) & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["batc"], "Did you mean 'batch'? see deepcredit --help"),
        (["batch", "shwo", "1"], "Did you mean 'show'"),
        (["batch", "show"], "Missing argument 'ID'; see deepcredit batch show --help"),
        (["batch", "show", "one"], "Invalid value for 'ID': it must be a whole number; see deep"),
        (["batch", "priority", "1", "99999"], "'N': it must be at most 32767; see deepcredit"),
        (["batch", "list", "--state", "Q"], "'--state': 'Q' is not one of 'I', 'U', 'C', 'E'; see"),
        (
            ["batch", "add", "--mode", "tran"],
            "unknown mode 'tran'; did you mean train? there are: ",
        ),
        (["batch", "add", "--mode", "train", "--json", "[1]"], "must be a JSON object"),
        (["batch", "add", "--mode", "train", "--param", "x"], "'x' is not KEY=VALUE"),
        (["batch", "add", "--mode", "train", "--dataset", "D/x"], "'D/x' is not like DATA001/1"),
        (["batch", "add", "--mode", "train", "--dataset", "D1"], "'D1' has no version; write D1/1"),
        (["leaderboard", "--frob"], "No such option: --frob; see deepcredit leaderboard --help"),
        (["batch", "list", "--store-url", "x"], "--store-url goes before the command"),
        (["--set", "x", "doctor"], "'x' is not NAME=VALUE"),
        (
            ["--set", "wrokers=2", "doctor"],
            "unknown setting wrokers in the command line; did you mean workers? known",
        ),
        (["--workers", "-1", "doctor"], "workers: "),
        (["--database-url", "postgresql://h/d", "batch", "list"], "mariadb+pymysql://"),
        (["--config", "none.toml", "doctor"], "none.toml is not a file"),
        (["demo", "--csv", "x.csv"], "--csv and --target go together"),
        (["db", "grants"], "SQLite has no roles"),
        (["launcher", "../SERVER"], "cannot name a log file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_exit_code_2(run: Run, words: list[str], text: str) -> None:
    assert text in _error(run(*words), 2)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(run: Run) -> None:
    line = _error(run("--set", "database_password=geheim", "batch", "list"), 2)

    assert "DEEPCREDIT_DATABASE_PASSWORD_FILE" in line
    assert "geheim" not in line


def test_a_database_without_tables_is_an_error_that_says_what_to_run(
    run: Run, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (["batch", "list"], ["leaderboard"], ["model", "list"], ["dataset", "list"])
    for words in asked:
        assert "run `deepcredit db upgrade`" in _error(run(*words), 1)

    name = mariadb_server.new_database()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    for words in (*asked, ["queue", "pause", "q"], ["status", "--once"], ["launcher", "L"]):
        code, _, error = run(*words)
        last = error.splitlines()[-1]
        assert (code, last) == (
            1,
            "error: the database has no tables yet; run `deepcredit db upgrade` first",
        )
    mariadb_server.drop_database(name)


def test_debug_shows_the_traceback_and_the_line(ready: Run) -> None:
    code, _, err = ready("--debug", "batch", "show", "7")

    assert code == 1
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: batch 7 does not exist")


def test_the_command_line_is_the_strongest_source_of_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", "sqlite:///environment.db")
    Path("deepcredit.toml").write_text('database_url = "sqlite:///file.db"', encoding="utf-8")

    run("--database-url", "sqlite:///line.db", "db", "upgrade")
    assert [path.name for path in Path().glob("*.db")] == ["line.db"]

    run("db", "upgrade")
    assert Path("environment.db").exists()
    assert not Path("file.db").exists()


def test_version(run: Run) -> None:
    code, out, _ = run("--version")

    assert code == 0
    assert re.fullmatch(r"deepcredit \d+\.\d+\.\d+\n", out)


# --- database


def test_upgrade_may_be_repeated_and_check_agrees(run: Run) -> None:
    assert run("db", "upgrade")[0] == 0
    assert run("db", "upgrade")[0] == 0
    assert run("db", "check")[0] == 0


def test_upgrade_says_which_database_it_means(run: Run) -> None:
    """In a folder without deepcredit.toml it is the embedded one."""
    _, out, _ = run("db", "upgrade")

    assert out.splitlines()[0] == "database sqlite:///var/deepcredit.db"


def test_check_names_what_differs(ready: Run, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW v_batch")

    code, _, err = ready("db", "check")

    assert code == 1
    assert "v_batch is missing" in err


def test_grants_are_statements_that_mariadb_takes(
    ready: Run, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = mariadb_server.new_database()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    assert ready("db", "upgrade")[0] == 0

    code, out, _ = ready("db", "grants")

    assert code == 0
    mariadb_server.client(out)
    mariadb_server.drop_database(name)


# --- data sets


def test_a_csv_is_loaded_with_its_roles_kinds_and_sentinels(ready: Run) -> None:
    Path("신청.csv").write_text(APPLICANTS, encoding="utf-8")
    words = ["dataset", "load", "신청.csv", "--group", "대출", "--target", "연체", "--id", "번호"]

    code, out, _ = ready(*words, "--missing", "소득=96,98")

    assert code == 0
    assert "대출/1: 6 rows, 5 columns, features: 1 categorical, 2 numeric" in out
    assert "연체: 0.5000 positive" in out
    assert re.search(r"소득 +feature +numeric +96, 98", out)
    assert "대출/2" in ready(*words)[1]


def test_a_column_may_get_its_sentinels_one_by_one(ready: Run) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    words = ["dataset", "load", "a.csv", "--group", "D1", "--target", "연체"]

    out = ready(*words, "--missing", "소득=96", "--missing", "소득=98")[1]

    assert re.search(r"소득 +feature +numeric +96, 98", out)


def test_each_option_says_what_its_own_column_is(ready: Run) -> None:
    Path("a.csv").write_text(
        "no,month,branch,note,sex,code,owed,late\n"
        + "".join(f"{n},2024-0{n}-01,b{n},x,f,{n},{n}.5,{'yn'[n % 2]}\n" for n in range(1, 9))
    )
    ready(
        *("dataset", "load", "a.csv", "--group", "D1", "--target", "late", "--positive", "y"),
        *("--id", "no", "--time", "month", "--group-column", "branch", "--drop", "note"),
        *("--sensitive", "sex", "--categorical", "code", "--missing", "owed=1.5"),
    )

    shown = json.loads(ready("dataset", "show", "D1/1", "--format", "json")[1])

    assert {row["column_name"]: row["role"] for row in shown} == {
        "no": "id",
        "month": "time",
        "branch": "group",
        "note": "ignore",
        "sex": "sensitive",
        "code": "feature",
        "owed": "feature",
        "late": "target",
    }
    code, owed = (row for row in shown if row["role"] == "feature")
    assert (code["kind"], owed["kind"], owed["missing_values"]) == ("categorical", "numeric", "1.5")


def test_data_sets_are_listed_and_shown(ready: Run) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    ready("dataset", "load", "a.csv", "--group", "D1", "--target", "연체", "--drop", "번호")

    (listed,) = json.loads(ready("dataset", "list", "--format", "json")[1])
    shown = list(
        csv.DictReader(io.StringIO(ready("dataset", "show", "D1", "1", "--format=csv")[1]))
    )

    assert (listed["name"], listed["n_rows"], listed["features"]) == ("D1/1", 6, 3)
    assert [(row["column_name"], row["role"]) for row in shown][:2] == [
        ("번호", "ignore"),
        ("나이", "feature"),
    ]
    assert ready("dataset", "show", "D1/1") == ready("dataset", "show", "D1", "1")
    table = ready("dataset", "show", "D1/1")[1]
    assert re.search(r"^ *\d +연체 +target +- ", table, re.MULTILINE)
    assert re.search(r"^ *\d +나이 +feature +numeric ", table, re.MULTILINE)
    assert {row["kind"] for row in shown} == {"numeric", "categorical"}
    for words in (("D1", "2"), ("D1/2",)):
        said = _error(ready("dataset", "show", *words), 1)
        assert said == "error: unknown data set D1/2; there are: D1/1"
    assert "'D1' has no version; write D1/1, say;" in _error(ready("dataset", "show", "D1"), 2)


def test_a_data_set_is_deleted_unless_it_is_needed(ready: Run, engine: Engine) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    ready("dataset", "load", "a.csv", "--group", "D1", "--target", "연체")
    number = _add(engine, dataset_group="D1", dataset_version=1)

    said = _error(ready("dataset", "delete", "D1/1", "--force"), 1)
    assert f"D1/1 is needed by train batch {number}, not at an end yet" in said
    ready("batch", "cancel", str(number))
    code, out, _ = ready("dataset", "delete", "D1/1")

    assert (code, out) == (0, "data set D1/1 is deleted, 6 rows\n")
    assert "unknown data set D1/1" in _error(ready("dataset", "delete", "D1/1"), 1)
    assert "'D1' has no version" in _error(ready("dataset", "delete", "D1"), 2)


def test_a_table_that_exists_is_registered(ready: Run, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE loans (id INTEGER, age INTEGER, bad TEXT)")
        connection.exec_driver_sql("INSERT INTO loans VALUES (1, 30, 'n'), (2, 40, 'y')")

    code, out, _ = ready(
        *("dataset", "register", "--table", "loans", "--group", "L", "--id", "id"),
        *("--target", "bad", "--positive", "y"),
    )

    assert code == 0
    assert "L/1: 2 rows" in out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--target", "arrears"], "no column 'arrears'; its columns are: 번호, 나이"),
        (["--target", "지역"], "target column '지역' of a.csv holds 3 different values"),
        (["--target", "연체", "--missing", "소득"], "'소득' is not like COL=96,98"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_in_one_line(
    ready: Run, options: list[str], text: str
) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")

    code, _, err = ready("dataset", "load", "a.csv", "--group", "D1", *options)

    assert code in (1, 2)
    assert text in err.splitlines()[-1]
    assert "Traceback" not in err


# --- models


def test_models_are_loaded_and_listed_with_their_variants(ready: Run) -> None:
    Path("models.toml").write_text(MODELS, encoding="utf-8")

    assert ready("model", "load", "models.toml")[1] == "2 models with 3 variants in M100\n"
    assert ready("model", "load", "models.toml")[0] == 0
    listed = json.loads(ready("model", "list", "--format", "json")[1])

    assert [(row["model_no"], row["model_sub_no"], row["use_yn"]) for row in listed] == [
        (1, 1, "Y"),
        (1, 2, "Y"),
        (2, 1, "N"),
    ]
    assert json.loads(listed[0]["params"]) == {"n_estimators": 20, "max_depth": 2}
    assert "부스팅" in listed[0]["model_desc"]


def test_what_a_model_names_is_listed_also_where_it_is_the_default(ready: Run) -> None:
    text = MODELS.replace(
        "n_estimators = 20, grid = { max_depth = [2, 3] }",
        'n_estimators = 400, grid = { max_depth = [3, 6], resampling = ["none", "under"] }',
    )
    Path("models.toml").write_text(text, encoding="utf-8")
    ready("model", "load", "models.toml")

    listed = json.loads(ready("model", "list", "--format", "json")[1])

    assert [json.loads(row["params"]) for row in listed] == [
        *(
            {"n_estimators": 400, "max_depth": depth, "resampling": method}
            for depth in (3, 6)
            for method in ("none", "under")
        ),
        {},
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 1", ["expected [[model]] tables"]),
        ("[[model", ["not valid TOML"]),
        ("[[model]]\nmodel_no = 1", ["number 1: model_id is missing; known keys"]),
        (
            MODELS.replace('use_yn = "N"', "usr_yn = 1"),
            ["number 2: unknown key 'usr_yn'; did you mean use_yn? known keys"],
        ),
        (
            MODELS.replace("ML-RF", "ML-RFF"),
            ["number 2", "ML-RFF", "did you mean ML-RF? there are"],
        ),
        (MODELS.replace("n_estimators", "n_estimator"), ["n_estimator", "n_estimators"]),
        (MODELS.replace("model_no = 2", "model_no = 1"), ["model_no 1 is there twice"]),
        ("model = [1]", ["number 1: it must be a table; known keys: model_no"]),
        (
            MODELS.replace("model_no = 2", "model_no = true"),
            ["number 2: model_no = true is not allowed; it must be a whole number of at least 0"],
        ),
        (MODELS.replace("model_no = 2", "model_no = 3000000000"), ["model_no = 3000000000"]),
        (
            MODELS.replace('_id = "M100"', "_id = 100"),
            ["number 1: model_group_id = 100 is not allowed; it must be a text of 1 to 100"],
        ),
        (MODELS.replace('"부스팅"', f'"{501 * "x"}"'), ["model_desc = ", "0 to 500 characters"]),
        (MODELS.replace('"N"', '"n"'), ['use_yn = "n" is not allowed; it must be "Y" or "N"']),
        (MODELS.replace('use_yn = "N"', "param = 3"), ["param = 3", "a table, such as { n_est"]),
        (
            MODELS.replace("n_estimators = 20", "n_estimators = 1979-05-27"),
            ["number 1: model_no 1: model_param: n_estimators", "must be a whole number from 1"],
        ),
    ],
)
def test_a_model_file_that_is_wrong_says_where(ready: Run, text: str, words: list[str]) -> None:
    Path("models.toml").write_text(text, encoding="utf-8")

    line = _error(ready("model", "load", "models.toml"), 2)

    assert all(word in line for word in ["models.toml", *words]), line
    assert ready("model", "list", "--format", "json")[1] == "[]\n"


def test_a_model_whose_parameters_an_operator_spoilt_is_listed_with_the_error(
    ready: Run, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dc_model_list (model_no, model_id, model_group_id, model_param)"
            " VALUES (5, 'ML-RF', 'M1', '{')"
        )

    (row,) = json.loads(ready("model", "list", "--group", "M1", "--format", "json")[1])

    assert row["params"].startswith("error: model_no 5: model_param: not JSON")


# --- batches


def _add(engine: Engine, **columns: Any) -> int:
    """A row as SQL inserts it, whether or not it can run."""
    with engine.begin() as connection:
        done = connection.execute(insert(dc_batch).values({"mode": "train"} | columns))
    assert done.inserted_primary_key
    return int(done.inserted_primary_key[0])


def _set(engine: Engine, number: int, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(update(dc_batch).where(dc_batch.c.batch_id == number).values(values))


@pytest.fixture
def stocked(ready: Run) -> Run:
    """As `ready`, with data set DATA001/1 and models 1 and 2 of group M100; 2 is not in use."""
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    Path("models.toml").write_text(MODELS, encoding="utf-8")
    assert ready("dataset", "load", "a.csv", "--group", "DATA001", "--target", "연체")[0] == 0
    assert ready("model", "load", "models.toml")[0] == 0
    return ready


def test_a_batch_added_at_the_terminal_is_the_row_that_sql_would_insert(stocked: Run) -> None:
    code, number, _ = stocked(
        *("batch", "add", "--mode", "train"),
        *("--dataset", "DATA001/1", "--model-group", "M100", "--desc", "신용 모형"),
        *("--param", "testSize=0.3", "--param", "splitBy=time", "--json", '{"models": [1]}'),
        *("--priority", "5", "--need-tag", "gpu"),
    )

    assert code == 0
    (row,) = json.loads(stocked("batch", "show", number.strip(), "--format", "json")[1])

    assert row["state"] == "I"
    assert (row["dataset_group"], row["dataset_version"]) == ("DATA001", 1)
    assert (row["model_group"], row["batch_desc"], row["priority"]) == ("M100", "신용 모형", 5)
    assert json.loads(row["batch_param"]) == {"models": [1], "testSize": 0.3, "splitBy": "time"}


TRAIN = ("train", "--dataset", "DATA001/1", "--model-group", "M100")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["train", "--model-group", "M100"], 1, "needs dataset_group and dataset_version"),
        (
            [*TRAIN[:2], "DATA01/1", *TRAIN[3:]],
            1,
            "DATA01/1; did you mean DATA001? there are: DATA001/1",
        ),
        ([*TRAIN[:2], "DATA001/2", *TRAIN[3:]], 1, "data set DATA001/2; there are: DATA001/1"),
        ([*TRAIN[:3]], 1, "a train batch needs model_group; there are: M100"),
        ([*TRAIN[:4], "M10"], 1, "unknown model group 'M10'; did you mean M100? there are"),
        ([*TRAIN, "--param", "testsize=0.3"], 2, "did you mean testSize? allowed are: "),
        ([*TRAIN, "--param", "testSize=-1"], 2, "testSize = -1 is not"),
        ([*TRAIN, "--param", "threshold=2"], 2, "threshold = 2.0 is not allowed; allowed: "),
        ([*TRAIN, "--param", "models=[2]"], 2, "model_no 2 is not in use in group 'M100'"),
        (["predict"], 1, "a predict batch needs train_batch_id"),
        (["predict", "--train-batch", "7"], 1, "train_batch_id 7: there is no such batch"),
        (["predict", "--train-batch", "1", "--dataset", "D/1"], 1, "there are: DATA001/1"),
        (["ensemble"], 1, "an ensemble batch needs candidate_id; there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C2"], 1, "C2' lists no model; there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C11"], 1, "; did you mean C1? there are: C1 (2 models)"),
        (["ensemble", "--candidate", "C1"], 2, "with 2 candidate models it can be 1 to 2"),
        (["ensemble", "--candidate", "C1", "--dataset", "D/1", "--param", "members=1"], 1, "D/1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_run_would_end_with_at_once_is_an_error_of_batch_add(
    stocked: Run, engine: Engine, words: list[str], code: int, text: str
) -> None:
    waiting = _add(engine)
    with engine.begin() as connection:
        candidates.add(connection, "C1", [(waiting, 1, 1), (waiting, 1, 2)])

    assert text in _error(stocked("batch", "add", "--mode", *words), code)
    assert len(json.loads(stocked("batch", "list", "--format", "json")[1])) == 1


@pytest.mark.parametrize(
    ("option", "value", "column"),
    [
        ("--queue", "밤" * 33, "queue"),
        ("--priority", "99999", "priority"),
        ("--dataset", "DATA001/3000000000", "dataset_version"),
    ],
)
def test_a_value_that_does_not_fit_the_database_is_named(
    ready: Run,
    mariadb_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: str,
    column: str,
) -> None:
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_settings.database_url)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)

    said = _error(ready("batch", "add", "--mode", "train", option, value), 2)
    assert re.search(rf"the database does not take a value: .* for column '{column}'$", said)


def test_a_number_that_sqlite_does_not_know_is_an_error(ready: Run) -> None:
    assert "does not take a value: " in _error(ready("batch", "show", "9" * 30), 2)


def test_a_count_that_may_have_meant_a_percentage_is_noted_beside_the_number(stocked: Run) -> None:
    code, out, err = stocked("batch", "add", "--mode", *TRAIN, "--param", "testSize=2")

    assert (code, out.strip().isdigit()) == (0, True)
    assert err.startswith("note: testSize 2: 2 of ")
    assert err.strip().endswith("rows, not 2 %")


def test_an_ensemble_of_models_that_are_gone_is_not_added(stocked: Run, engine: Engine) -> None:
    ended = _add(engine, state="C")
    with engine.begin() as connection:
        candidates.add(connection, "C1", [(ended, 1, 1)])

    words = ("--mode", "ensemble", "--candidate", "C1", "--param", "members=1")
    said = _error(stocked("batch", "add", *words), 1)
    assert f"1 of 1 models are not in dc_model, the first: batch {ended}, model 1/1" in said


def test_a_batch_may_be_added_that_waits_for_the_one_it_builds_on(
    stocked: Run, engine: Engine
) -> None:
    waiting = str(_add(engine))

    words = ("batch", "add", "--mode", "predict", "--train-batch", waiting)
    assert stocked(*words)[::2] == (0, "")
    said = "note: model_group is ignored: predict does not read it\n"
    assert stocked(*words, "--model-group", "M100")[::2] == (0, said)


def test_a_batch_is_cancelled_retried_and_listed_in_words(ready: Run, engine: Engine) -> None:
    trained = _add(engine)
    number = str(_add(engine, mode="predict", train_batch_id=trained, batch_desc="[모형] one"))

    assert "waiting" in ready("batch", "list")[1]
    assert "cancelled" in ready("batch", "cancel", number)[1]
    assert "cancelled" in ready("batch", "list", "--state", "E")[1]
    assert "had already ended" in ready("batch", "cancel", number)[1]
    assert "waits to run" in ready("batch", "retry", number)[1]
    listed = ready("batch", "list")[1]
    assert "[모형] one" in listed
    assert "waiting" in listed
    assert "does not exist" in _error(ready("batch", "retry", "99"), 1)


def test_wait_ends_with_0_on_c_and_1_on_a_final_e(ready: Run, engine: Engine) -> None:
    good, bad, late = (str(_add(engine)) for _ in range(3))
    with engine.begin() as connection:
        for number, values in (
            (good, {"state": "C", "progress": 1}),
            (bad, {"state": "E", "error_class": "BadData", "error_text": "표가 비었다\nmore"}),
        ):
            connection.execute(
                update(dc_batch).where(dc_batch.c.batch_id == int(number)).values(values)
            )

    assert f"deepcredit batch retry {bad}" in ready("batch", "show", bad)[1]
    assert "deepcredit" not in ready("batch", "show", good)[1]
    assert ready("batch", "wait", good)[0] == 0
    said = f"error: batch {bad} failed: BadData: 표가 비었다"
    assert ready("batch", "wait", bad)[::2] == (1, f"{said}\n")
    code, _, err = ready("batch", "wait", late, "--timeout", "0")
    assert code == 1
    assert "has not ended after 0 s" in err


def test_wait_says_what_a_batch_waits_for_once_until_that_changes(
    ready: Run, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = _add(engine, progress_note="3 of 8 models")
    running = {"state": "U", "progress": 0.5}
    happens = iter([None, {"queue": "night"}, None, None, running, {"state": "C"}])

    def sleep(_seconds: float) -> None:
        if values := next(happens):
            with engine.begin() as connection:
                connection.execute(update(dc_batch).values(values))

    _register(engine, "S1")
    monkeypatch.setattr("launcher.terminal.following.time.sleep", sleep)

    assert ready("batch", "wait", str(number)) == (
        0,
        f"batch {number} completed: 3 of 8 models\n",
        (
            f"batch {number}:   0% waits for a free server\n"
            f"batch {number}:   0% waits for a launcher that serves queue night (none does)\n"
            f"batch {number}:  50% 3 of 8 models\n"
        ),
    )


def test_a_batch_run_in_the_foreground_ends_with_its_error(
    ready: Run, engine: Engine, tmp_path: Path
) -> None:
    _add(engine, dataset_group="D", dataset_version=1, model_group="M")

    done = subprocess.run(
        [sys.executable, "-m", "launcher", "run", "1"],
        env=environment(tmp_path, DATABASE_URL=load().database_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: batch 1 failed: NotFound: unknown ")
    assert "deepcredit batch retry 1" in _error(ready("run", "1"), 1)


def test_ctrl_c_leaves_the_batch_that_one_waits_for_alone(
    ready: Run, engine: Engine, tmp_path: Path
) -> None:
    number = _add(engine)
    with engine.begin() as connection:
        connection.execute(update(dc_batch).values(state="U", progress=0.4, progress_note="반"))
    command = [sys.executable, "-m", "launcher", "batch", "wait", str(number)]
    env = environment(tmp_path, DATABASE_URL=load().database_url)

    with subprocess.Popen(
        command, env=env, cwd=tmp_path, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as waiting:
        assert waiting.stderr
        assert waiting.stderr.readline() == f"batch {number}:  40% 반\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(20) == 130
        assert waiting.stderr.read() == f"batch {number} goes on without you\n"

    with engine.connect() as connection:
        row = connection.execute(dc_batch.select()).one()
    assert (row.state, row.cancel_requested_at) == ("U", None)


def _interrupted(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Exit code and stderr of a command that Ctrl-C ends after its first line on stderr."""
    env = environment(folder, DATABASE_URL=load().database_url)
    command = [sys.executable, "-m", "launcher", *words]
    with subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.PIPE) as running:
        assert running.stderr
        first = running.stderr.readline()
        running.send_signal(signal.SIGINT)
        return running.wait(60), (first + running.stderr.read()).decode()


def test_ctrl_c_gives_a_batch_back_that_runs_here(stocked: Run, engine: Engine) -> None:
    number = _add(engine, dataset_group="DATA001", dataset_version=1, model_group="M100")

    code, said = _interrupted(["run", str(number)], Path.cwd())

    assert code == 1
    assert said.splitlines()[-1] == (
        f"error: batch {number} was given back and waits; what it has finished is kept, and "
        f"`deepcredit run {number}` or any launcher goes on with it"
    )


def test_ctrl_c_while_data_are_loaded_registers_nothing(ready: Run) -> None:
    rows = "".join(f"{number},{number % 7},{number % 2}\n" for number in range(300_000))
    Path("big.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")

    words = ["dataset", "load", "big.csv", "--group", "BIG", "--target", "y"]
    code, said = _interrupted(words, Path.cwd())

    assert (code, said.splitlines()[-1]) == (130, "stopped: nothing was registered")
    assert "no data set" in ready("dataset", "list")[2]


def test_a_launcher_that_must_have_said_something_by_now_is_late(
    ready: Run, engine: Engine
) -> None:
    row = {"serve_server_id": "S", "identity": "there:7:boot", "queues": "[]", "tags": "[]"}
    with engine.begin() as connection:
        connection.execute(insert(dc_server).values(row | {"last_seen": utc_now(-20)}))
    assert " up " in ready("status", "--once")[1]
    with engine.begin() as connection:
        connection.execute(update(dc_server).values(last_seen=utc_now(-40)))
    assert " late " in ready("status", "--once")[1]


def test_whoever_looks_is_told_into_which_database_but_no_password(
    run: Run, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = mariadb_server.new_database()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    (where,) = re.findall("^database .*$", run("db", "upgrade")[1], re.MULTILINE)
    assert f":***@127.0.0.1:{mariadb_server.port}/{name}" in where

    assert run("batch", "list")[2] == f"no batch in {where}\n"
    assert run("status")[1].replace("\n", "").startswith(where)
    made = make_engine(load())
    _add(made)
    made.dispose()
    assert run("batch", "list")[1].startswith(f"{where}\n")
    assert not run("batch", "list", "--format", "json")[1].startswith("database")


# --- queues


def test_a_queue_that_nobody_has_is_paused_but_said_to_be_unknown(
    ready: Run, engine: Engine
) -> None:
    _add(engine, queue="night")
    _register(engine, "S1", queues=["urgent"])
    unknown = "did you mean night? there are: default, night, urgent\n"

    assert ready("queue", "pause", "urgent") == (0, "queue urgent is paused\n", "")
    for _ in range(2):
        assert ready("queue", "pause", "nihgt") == (
            0,
            "queue nihgt is paused\n",
            f"note: no batch and no launcher has it; {unknown}",
        )
    assert ready("queue", "resume", "nihgt") == (0, "queue nihgt goes on\n", "")
    assert ready("queue", "resume", "default") == (0, "queue default goes on\n", "")
    assert _error(ready("queue", "resume", "nihgt"), 1) == (
        f"error: queue nihgt is not known; {unknown}".strip()
    )


# --- results


@pytest.fixture
def trained(ready: Run, engine: Engine) -> Run:
    """A batch with two good models and one that failed."""
    number = _add(engine, dataset_group="D1", dataset_version=1)
    with engine.begin() as connection:
        for model_no, auc in ((1, 0.75), (2, None), (3, 0.5)):
            for split in ("valid", "test"):
                row = {
                    "batch_id": number,
                    "model_no": model_no,
                    "model_sub_no": 1,
                    "split": split,
                    "fence": 1,
                    "model_id": "DL-TABNET",
                    "state": "C" if auc else "E",
                    "auc": auc,
                    "n_rows": 9000,
                    "error_text": None if auc else "Traceback\nValueError: [diverged] 발산",
                }
                connection.execute(insert(dc_batch_result).values(**row))
    return ready


def test_results_show_models_and_those_that_failed_with_their_error(trained: Run) -> None:
    code, out, _ = trained("results", "1")

    good, _, failed = out.partition("failed:")
    assert code == 0
    assert re.search(r"^ *1/1 +DL-TABNET +valid +9000 +0\.7500", good, re.MULTILINE)
    assert "2/1" not in good
    assert "ValueError: [diverged] 발산" in failed


def test_results_as_csv_and_json_have_every_column(trained: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(trained("results", "1", "--format", "csv")[1])))
    same = json.loads(trained("results", "1", "--format", "json")[1])

    assert len(rows) == len(same) == 6
    assert set(rows[0]) == set(same[0]) == {column.name for column in dc_batch_result.columns}
    assert same[0]["auc"] == 0.75
    assert rows[2]["auc"] == ""


def test_no_results_yet_are_no_error_but_no_batch_is(ready: Run, engine: Engine) -> None:
    _add(engine)

    assert ready("results", "1")[::2] == (0, "batch 1 has no results yet\n")
    assert "batch 2 does not exist" in _error(ready("results", "2"), 1)
    assert ready("leaderboard")[::2] == (0, "no trained model yet\n")
    assert ready("leaderboard", "--format", "csv")[1].startswith("rank,")


def test_a_leaderboard_of_what_does_not_exist_is_an_error(stocked: Run, engine: Engine) -> None:
    number = str(_add(engine, dataset_group="DATA001", dataset_version=1))
    predict = str(_add(engine, mode="predict"))

    def said(*options: str) -> str:
        return _error(stocked("leaderboard", *options), 1).removeprefix("error: ")

    assert said("--batch", "9") == "batch 9 does not exist; none has models yet"
    assert said("--batch", predict) == (
        f"batch {predict} is of mode predict; name a train batch; none has models yet"
    )
    assert said("--dataset", "D/1") == "unknown data set D/1; there are: DATA001/1"
    for options in (("--batch", number), ("--dataset", "DATA001/1")):
        assert stocked("leaderboard", *options) == (0, "", "no trained model yet\n")
    _set(engine, int(number), state="E", error_class="BadData", error_text="표가 비었다")
    assert said("--batch", number) == f"batch {number} failed: BadData: 표가 비었다"


def test_a_leaderboard_says_on_how_many_rows_and_whether_on_the_same(
    stocked: Run, engine: Engine
) -> None:
    first, second, third = (_add(engine, dataset_group="D", dataset_version=1) for _ in range(3))
    _add_model(engine, first, "a" * 64, {"n_rows": 9000, "fn": 1000, "tp": 836})
    _add_model(engine, second, "a" * 64, {"n_rows": 9000, "fn": 900, "tp": 936})

    same = stocked("leaderboard")[1]
    _add_model(engine, third, "b" * 64, {"n_rows": 40, "fn": 2, "tp": 3})
    _add_model(engine, third, "b" * 64, {"n_rows": 40}, model_no=2)
    different = stocked("leaderboard")[1]
    alone = stocked("leaderboard", "--batch", str(third))[1]
    plain = stocked("leaderboard", "--format", "json")[1]

    assert "test bad/n" in same
    assert same.count("1836/9000") == 2
    assert "5/40" in different
    assert "splits" not in same + alone
    assert different.startswith(
        "these models are of 2 splits (tested on 40 to 9,000 rows); figures compare where both "
        "have set aside the same rows, as within a batch: --batch ID lists models of one\n"
    )
    assert "different" not in plain
    assert [row["split_id"][0] for row in json.loads(plain)] == ["a", "a", "b", "b"]


def _add_model(
    engine: Engine, batch_id: int, split_id: str, test: dict[str, int], model_no: int = 1
) -> None:
    key = {"batch_id": batch_id, "model_no": model_no, "model_sub_no": 1, "fence": 1}
    texts = (
        "model_id params uri format sha256 scores_uri scores_sha256 preprocessor_uri "
        "preprocessor_sha256 fingerprint"
    )
    columns = dict.fromkeys(texts.split(), "x")
    with engine.begin() as connection:
        connection.execute(
            insert(dc_model).values(**key, **columns, threshold=0.5, bytes=1, split_id=split_id)
        )
        for split, measured in (("valid", {}), ("test", test)):
            connection.execute(
                insert(dc_batch_result).values({**key, "split": split, "state": "C", **measured})
            )


def test_a_batch_that_failed_has_no_results_to_wait_for(ready: Run, engine: Engine) -> None:
    _add(engine)
    error = {"error_class": "BadData", "error_text": "표가 비었다\nmore", "max_attempts": 3}
    later = {"state": "E", "run_after": utc_now(literal(3600.0)), "attempt": 1, **error}
    asks = [("results", "1"), ("ensemble", "members", "1", "1")]

    _set(engine, 1, **later, mode="ensemble")
    assert ready(*asks[0])[::2] == (0, "batch 1 has no results yet\n")
    assert _error(ready(*asks[1]), 1) == "error: batch 1 has no report yet"

    _set(engine, 1, run_after=None)
    for words in asks:
        assert _error(ready(*words), 1) == "error: batch 1 failed: BadData: 표가 비었다"


def test_a_batch_of_which_every_model_failed_shows_them_and_why(
    trained: Run, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(update(dc_batch_result).values(state="E"))
    _set(engine, 1, state="E", error_class="AllModelsFailed", error_text="none")

    code, out, err = trained("results", "1")

    assert code == 1
    assert "ValueError: [diverged] 발산" in out
    assert err == "error: batch 1 failed: AllModelsFailed: none\n"


def test_a_reader_that_has_seen_enough_is_no_error(trained: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            f"{sys.executable} -m launcher results 1 --format=csv | :",
        ],
        env=environment(tmp_path, DATABASE_URL=load().database_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""


def test_tables_fit_a_terminal_of_80_columns_also_in_korean(
    ready: Run, engine: Engine, tmp_path: Path
) -> None:
    text = "저축은행 신용평가 모형 재학습: 이천이십육년 하반기 신청자 전체를 대상으로 한다"
    with engine.begin() as connection:
        connection.execute(
            insert(dc_batch).values(
                batch_desc=text, mode="train", state="E", error_class="BadData", error_text=text * 3
            )
        )

    lines = _on_terminal(["batch", "list"], tmp_path, columns=80)

    assert max(map(cell_len, lines)) <= 80
    assert "하반기" in "".join(lines)


def test_what_is_left_out_to_fit_a_terminal_is_named_there(trained: Run, tmp_path: Path) -> None:
    def said(columns: int) -> list[str]:
        lines = _on_terminal(["results", "1"], tmp_path, columns=columns)
        return [line for line in lines if "left out" in line]

    assert said(80) == ["left out to fit: recall, brier, threshold; --format csv has all"]
    assert said(120) == []
    assert "left out" not in trained("results", "1")[1]


def test_a_long_text_is_cut_in_a_pipe_and_whole_in_csv(ready: Run, engine: Engine) -> None:
    text = "저축은행 " * 60
    _add(engine, state="E", error_class="BadData", error_text=text)

    table = ready("batch", "list")[1]
    (row,) = csv.DictReader(io.StringIO(ready("batch", "list", "--format", "csv")[1]))

    assert max(map(cell_len, table.splitlines())) < 220
    assert "BadData: 저축은행 " in table
    assert "…" in table
    assert row["last_error"] == f"BadData: {text}"


def _on_terminal(words: list[str], cwd: Path, *, columns: int) -> list[str]:
    """What a command prints on a terminal so wide, without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    env = environment(cwd, DATABASE_URL=load().database_url) | {"NO_COLOR": "1", "TERM": "xterm"}
    env.pop("COLUMNS")
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", *words], stdout=theirs, env=env, cwd=cwd
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    assert process.wait(20) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.decode("utf-8")).splitlines()


# --- doctor


def test_doctor_finds_the_embedded_installation_in_order(ready: Run) -> None:
    code, out, _ = ready("doctor")

    assert code == 0, out
    assert "FAIL" not in out
    for subject in (
        "settings",
        "database",
        "schema",
        "clock",
        "model store",
        "store owner",
        "disk",
        "dask",
        "gpu",
    ):
        assert re.search(rf"^(OK|WARN) +{subject} ", out, re.MULTILINE), subject


def test_doctor_finds_what_a_deletion_by_hand_left(ready: Run, engine: Engine) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    ready("dataset", "load", "a.csv", "--group", "D1", "--target", "연체")
    whole = "OK    data sets    every table and column belongs to a data set"
    assert whole.split() == _line(ready("doctor")[1], "data sets").split()

    with engine.begin() as connection:
        connection.execute(delete(dc_dataset))

    code, out, _ = ready("doctor")
    assert code == 0
    assert "DROP TABLE dc_data_d1_1" in _line(out, "data sets")


def _line(out: str, subject: str) -> str:
    return next(line for line in out.splitlines() if subject in line)


def test_doctor_leaves_no_folder_that_it_made(ready: Run) -> None:
    ready("doctor")
    assert not Path("logs").exists()  # of root, they would be closed to a launcher's account
    assert not Path("var/cache").exists()

    Path("logs").mkdir()
    code, out, _ = ready("doctor")

    assert code == 0, out
    assert list(Path("logs").iterdir()) == []


def test_doctor_says_what_to_do_about_what_is_not(run: Run) -> None:
    Path("file").touch()

    code, out, _ = run("--store-url", "file/store", "--scheduler", "tcp://127.0.0.1:9", "doctor")

    assert code == 1
    assert re.search("^FAIL +database .*run `deepcredit db upgrade`", out, re.MULTILINE)
    assert re.search("^FAIL +model store ", out, re.MULTILINE)
    assert re.search("^FAIL +dask .*DEEPCREDIT_SCHEDULER", out, re.MULTILINE)


def test_doctor_sees_that_batches_wait_and_nobody_runs_them(ready: Run, engine: Engine) -> None:
    def found() -> list[str]:
        return re.findall("^[A-Z]+ +launchers +(.*)$", ready("doctor")[1], re.MULTILINE)

    assert found() == ["none runs, and no batch waits"]
    for columns in ({}, {"queue": "nigth", "need_tag": "gpu"}, {"queue": "nigth"}, {}):
        _add(engine, **columns)
    start = "no launcher runs; start one with `deepcredit launcher SERVER_ID"
    assert found() == [
        f"batch 1 waits: {start}`",
        f"batch 2 waits: {start} --queue nigth --tag gpu`",
        f"batch 3 waits: {start} --queue nigth`",
    ]
    ready("queue", "pause", "nigth")
    assert found()[1] == "batch 2 waits: queue nigth is paused; `deepcredit queue resume nigth`"


def _register(engine: Engine, name: str, **offers: Any) -> None:
    facts: dict[str, Any] = {"host": "h", "pid": 1, "version": "1", "slots": 2, "identity": name}
    with engine.begin() as connection:
        servers.register(connection, server=name, **facts | offers)


def _silence(engine: Engine, name: str) -> None:
    """As if the launcher had been killed five minutes ago."""
    here, long_ago = dc_server.c.serve_server_id == name, utc_now(literal(-300))
    with engine.begin() as connection:
        connection.execute(update(dc_server).where(here).values(last_seen=long_ago))


def test_a_mistyped_queue_is_told_from_one_whose_launcher_is_missing(
    stocked: Run, engine: Engine
) -> None:
    def added(queue: str) -> tuple[str, ...]:
        return stocked("batch", "add", "--mode", *TRAIN, "--queue", queue)[1:]

    def warned() -> list[str]:
        return re.findall("^WARN +launchers +(.*)$", stocked("doctor")[1], re.MULTILINE)

    mend = "then `UPDATE dc_batch SET queue = '{}' WHERE queue = '{}'`; if not, "
    assert added("defualt") == ("1\n", "")  # nobody is at work yet, so who knows
    start = "start one with `deepcredit launcher SERVER_ID --queue"
    assert warned() == [
        (
            "batch 1 waits: no launcher runs; did you mean default? "
            f"{mend.format('default', 'defualt')}{start} defualt`"
        )
    ]

    _register(engine, "S1", queues=["urgent", "default"])
    _register(engine, "S2", queues=["nights"])
    _silence(engine, "S2")
    assert added("urgent") == ("2\n", "")
    missing = "no launcher serves queue"
    served = "served: default, urgent\n"
    assert added("urgnet") == ("3\n", f"note: {missing} urgnet; did you mean urgent? {served}")
    assert added("night's") == ("4\n", f"note: {missing} night's; {served}")
    with engine.begin() as connection:
        connection.execute(update(dc_batch).where(dc_batch.c.batch_id == 1).values(state="C"))
    assert warned()[1:] == [
        (
            f"batch 3 waits: {missing} urgnet; did you mean urgent? "
            f"{mend.format('urgent', 'urgnet')}{start} urgnet`"
        ),
        f"batch 4 waits: {missing} night's; {start} 'night'\"'\"'s'`",
    ]
    assert warned()[0].startswith("S2 on h was last heard of at ")

    remedy = re.findall("`(UPDATE .*?)`", warned()[1])
    with engine.begin() as connection:
        connection.exec_driver_sql(*remedy)
    assert [line for line in warned() if "batch 3" in line] == []
    assert "urgent" in stocked("batch", "show", "3")[1]


def test_doctor_looks_whether_one_launcher_is_at_work(ready: Run, engine: Engine) -> None:
    """What watches a process must notice, too, that its loop has stopped."""

    def found(name: str) -> tuple[int, str]:
        code, out, _ = ready("doctor", "--launcher", name)
        return code, re.sub(" {2,}", " ", out).strip()

    for name in ("S1", "S2", "S3"):
        _register(engine, name)
    with engine.begin() as connection:
        servers.pause(connection, "S2")
        servers.remove(connection, "S2", "S2")
    _silence(engine, "S3")

    code, said = found("S1")
    assert (code, said.partition(" of ")[0]) == (0, "OK launcher S1 was heard")
    for name in ("S2", "S4"):
        said = f"FAIL launcher {name} does not run; start it: deepcredit launcher {name}"
        assert found(name) == (1, said)
    code, said = found("S3")
    assert (code, said.partition(" for ")[0]) == (1, "FAIL launcher S3 has not been heard of")


def test_doctor_names_batches_that_no_launcher_will_ever_take(ready: Run, engine: Engine) -> None:
    def warned() -> list[str]:
        return re.findall("^WARN +launchers +(.*)$", ready("doctor")[1], re.MULTILINE)

    _register(engine, "S1")
    _add(engine)
    assert warned() == []
    assert "S1 on h, 2 slots, queue default, no tags, last seen " in ready("doctor")[1]

    ready("server", "pause", "S1")
    on_q = {"queue": "q", "need_tag": "big"}
    for columns in (on_q, on_q, {"need_tag": "gpu"}, {"queue": "r"}):
        _add(engine, **columns)
    assert warned() == [
        "batch 1 waits: every launcher for it is paused (S1); `deepcredit server resume S1`",
        (
            "batch 2 waits: no launcher serves queue q; "
            "start one with `deepcredit launcher SERVER_ID --queue q --tag big`"
        ),
        (
            "batch 4 waits: no launcher of queue default has tag gpu; "
            "start one with `deepcredit launcher SERVER_ID --tag gpu`"
        ),
    ]

    ready("server", "resume", "S1")
    ready("queue", "pause", "r")
    _register(engine, "S2", queues=["q", "default"], tags=["gpu", "big"])
    assert warned() == ["batch 5 waits: queue r is paused; `deepcredit queue resume r`"]
    assert "queues q and default, tags gpu and big, " in ready("doctor")[1]


def test_doctor_names_the_rights_that_an_account_lacks(
    run: Run, mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = mariadb_server.new_database()
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", PASSWORD)
    run("db", "upgrade")
    code, out, err = run("--debug", "doctor")
    assert code == 0, out + err
    assert re.search("^WARN +database .*innodb_flush_log_at_trx_commit", out, re.MULTILINE)
    mariadb_server.client(
        "CREATE USER IF NOT EXISTS 'reads'@'%' IDENTIFIED BY 'only';"
        f"GRANT SELECT ON `{name}`.* TO 'reads'@'%';"
    )
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name, user="reads"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "only")

    code, out, _ = run("doctor")

    assert code == 1
    said = re.search("^FAIL +database .*UPDATE on dc_batch.*db grants.*", out, re.MULTILINE)
    assert said
    assert "`deepcredit doctor --role operator` or `--role reader`" in said[0]
    code, out, _ = run("doctor", "--role", "reader")
    assert (code, "may do all that the role reader needs" in out) == (0, True)

    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    code, _, error = run("dataset", "load", "a.csv", "--group", "A", "--target", "연체")
    assert code == 1
    assert "error: loading data needs an account that may CREATE tables; " in error
    for command in ("check", "upgrade"):
        code, _, error = run("db", command)
        assert code == 1
        assert f"error: `deepcredit db {command}` needs an account that may CREATE tables" in error

    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(f"{name}x", user="reads"))
    assert f"to database '{name}x', or there is no such database; " in _error(run("status"), 1)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", mariadb_server.url(name, user="reads"))
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "wrong")
    refused = run("doctor")[1]
    assert re.search("^FAIL +database .*refused", refused, re.MULTILINE)
    assert "schema" not in refused
    mariadb_server.drop_database(name)
