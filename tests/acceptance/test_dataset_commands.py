"""`deepcredit dataset`"""

import csv
import io
import re
from pathlib import Path

import pytest

from tests.calls import Calls
from tests.terminal import APPLICANTS, Terminal


def test_a_csv_is_loaded_with_its_roles_kinds_and_sentinels(run: Terminal) -> None:
    Path("신청.csv").write_text(APPLICANTS, encoding="utf-8")
    words = ["dataset", "load", "신청.csv", "--group", "대출", "--target", "연체", "--id", "번호"]

    code, out, _ = run(*words, "--missing", "소득=96,98")

    assert code == 0
    assert "대출/1: 6 rows, 5 columns, features: 1 categorical, 2 numeric" in out
    assert "연체: 0.5000 positive" in out
    assert re.search(r"소득 +feature +numeric +96, 98", out)
    assert "대출/2" in run(*words)[1]


def test_a_column_may_get_its_sentinels_one_by_one(run: Terminal) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    words = ["dataset", "load", "a.csv", "--group", "D1", "--target", "연체"]

    out = run(*words, "--missing", "소득=96", "--missing", "소득=98")[1]

    assert re.search(r"소득 +feature +numeric +96, 98", out)


def test_each_option_says_what_its_own_column_is(run: Terminal) -> None:
    Path("a.csv").write_text(
        "no,month,branch,note,sex,code,owed,late\n"
        + "".join(f"{n},2024-0{n}-01,b{n},x,f,{n},{n}.5,{'yn'[n % 2]}\n" for n in range(1, 9))
    )
    run(
        *("dataset", "load", "a.csv", "--group", "D1", "--target", "late", "--positive", "y"),
        *("--id", "no", "--time", "month", "--group-column", "branch", "--drop", "note"),
        *("--sensitive", "sex", "--categorical", "code", "--missing", "owed=1.5"),
    )

    shown = run.rows("dataset", "show", "D1/1")

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


def test_data_sets_are_listed_and_shown(run: Terminal) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    run("dataset", "load", "a.csv", "--group", "D1", "--target", "연체", "--drop", "번호")

    (listed,) = run.rows("dataset", "list")
    shown = list(csv.DictReader(io.StringIO(run("dataset", "show", "D1", "1", "--format=csv")[1])))

    assert (listed["name"], listed["n_rows"], listed["features"]) == ("D1/1", 6, 3)
    assert [(row["column_name"], row["role"]) for row in shown][:2] == [
        ("번호", "ignore"),
        ("나이", "feature"),
    ]
    assert run("dataset", "show", "D1/1") == run("dataset", "show", "D1", "1")
    table = run("dataset", "show", "D1/1")[1]
    assert re.search(r"^ *\d +연체 +target +- ", table, re.MULTILINE)
    assert re.search(r"^ *\d +나이 +feature +numeric +- *$", table, re.MULTILINE)
    assert {row["kind"] for row in shown} == {"numeric", "categorical"}
    for words in (("D1", "2"), ("D1/2",)):
        said = run.error("dataset", "show", *words)
        assert said == "unknown data set D1/2; there are: D1/1"
    assert "'D1' has no version; write D1/1, say;" in run.error("dataset", "show", "D1", code=2)


def test_a_data_set_is_deleted_unless_it_is_needed(run: Terminal, calls: Calls) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")
    run("dataset", "load", "a.csv", "--group", "D1", "--target", "연체")
    number = calls.add(dataset_group="D1", dataset_version=1)

    said = run.error("dataset", "delete", "D1/1", "--force")
    assert f"D1/1 is needed by train batch {number}, not at an end yet" in said
    run("batch", "cancel", number)
    code, out, _ = run("dataset", "delete", "D1/1")

    assert (code, out) == (0, "data set D1/1 is deleted, 6 rows\n")
    assert "unknown data set D1/1" in run.error("dataset", "delete", "D1/1")
    assert "'D1' has no version" in run.error("dataset", "delete", "D1", code=2)


def test_a_table_that_exists_is_registered(run: Terminal, calls: Calls) -> None:
    calls.sql("CREATE TABLE loans (id INTEGER, age INTEGER, bad TEXT)")
    calls.sql("INSERT INTO loans VALUES (1, 30, 'n'), (2, 40, 'y')")

    code, out, _ = run(
        *("dataset", "register", "--table", "loans", "--group", "L", "--id", "id"),
        *("--target", "bad", "--positive", "y"),
    )

    assert code == 0
    assert "L/1: 2 rows" in out


def test_what_cannot_be_read_is_an_error_in_one_line(run: Terminal) -> None:
    for words in (("load", "none.csv"), ("register", "--table", "none")):
        assert "none" in run.error("dataset", *words, "--group", "D1")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--target", "arrears"], "no column 'arrears'; its columns are: 번호, 나이"),
        (["--target", "지역"], "target column '지역' of a.csv holds 3 different values"),
        (["--target", "연체", "--missing", "소득"], "'소득' is not like COL=96,98"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_in_one_line(
    run: Terminal, options: list[str], text: str
) -> None:
    Path("a.csv").write_text(APPLICANTS, encoding="utf-8")

    code, out, err = run("dataset", "load", "a.csv", "--group", "D1", *options)

    assert (code in (1, 2), out) == (True, "")
    (line,) = err.splitlines()
    assert text in line
