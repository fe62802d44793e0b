"""`deepcredit model`"""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.calls import Calls
from tests.terminal import MODELS, Terminal


def test_models_are_loaded_and_listed_with_their_variants(run: Terminal) -> None:
    Path("models.toml").write_text(MODELS, encoding="utf-8")

    assert run("model", "load", "models.toml")[1] == "2 models with 3 variants in M100\n"
    assert run("model", "load", "models.toml")[0] == 0
    listed = run.rows("model", "list")

    assert [(row["model_no"], row["model_sub_no"], row["use_yn"]) for row in listed] == [
        (1, 1, "Y"),
        (1, 2, "Y"),
        (2, 1, "N"),
    ]
    assert json.loads(listed[0]["params"]) == {"n_estimators": 20, "max_depth": 2}
    assert "부스팅" in listed[0]["model_desc"]


def test_a_file_that_takes_a_model_from_another_group_says_so(run: Terminal) -> None:
    file = Path("models.toml")
    file.write_text(MODELS, encoding="utf-8")
    run("model", "load", "models.toml")
    file.write_text(MODELS.replace("M100", "부스팅"), encoding="utf-8-sig")

    first, again = (run("model", "load", "models.toml") for _ in range(2))

    lost = "note: group M100 has lost model_no 1, 2 to the group that the file names\n"
    assert first == (0, "2 models with 3 variants in 부스팅\n", lost)
    assert again[2] == ""


def test_what_a_model_names_is_listed_also_where_it_is_the_default(run: Terminal) -> None:
    text = MODELS.replace(
        "n_estimators = 20, grid = { max_depth = [2, 3] }",
        'n_estimators = 400, grid = { max_depth = [3, 6], resampling = ["none", "under"] }',
    )
    Path("models.toml").write_text(text, encoding="utf-8")
    run("model", "load", "models.toml")

    listed = run.rows("model", "list")

    assert [json.loads(row["params"]) for row in listed] == [
        *(
            {"n_estimators": 400, "max_depth": depth, "resampling": method}
            for depth in (3, 6)
            for method in ("none", "under")
        ),
        {},
    ]


def test_many_parameters_take_few_lines_of_a_terminal_of_80(
    run: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a table; a description that finds no room beside them is left out."""
    many = "batch_size = 512, virtual_batch_size = 128, max_epochs = 50, n_d = 16, n_a = 16"
    text = MODELS.replace("n_estimators = 20, grid = { max_depth = [2, 3] }", many)
    Path("models.toml").write_text(text.replace("ML-XGB", "DL-TABNET"), encoding="utf-8")
    run("model", "load", "models.toml")
    output = io.StringIO()
    terminal = Console(file=output, width=80)
    monkeypatch.setattr("launcher.terminal.console.console", lambda **_: terminal)

    run("model", "list")

    heading, _, *lines, left = output.getvalue().splitlines()
    assert "description" not in heading
    assert left == "left out to fit: description; --format csv has all"
    start = heading.index("parameters")
    assert [line[start:].strip() for line in lines] == [
        "n_d=16, n_a=16, virtual_batch_size=128,",
        "max_epochs=50, batch_size=512",
        "-",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 1", ["expected [[model]] tables"]),
        ("[[model", ["not valid TOML"]),
        (
            MODELS.replace("n_estimators = 20", "grid = { max_depth = [3, null] }"),
            ["not valid TOML: ", "; TOML has no null: leave the key out, or write model_param by"],
        ),
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
            ["number 2: model_no = true is not allowed; it must be a whole number from 0 to 2"],
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
        (
            MODELS.replace("[2, 3]", 25 * "[" + 25 * "]"),
            ["model_param: lists", "more than 20 levels"],
        ),
        (MODELS.replace("[2, 3]", 5000 * "9"), ["a number in it has thousands of digits"]),
        (MODELS.replace("= 2", "= 0x" + 5000 * "f"), ["a number in it has thousands of digits"]),
        (MODELS.replace("[2, 3]", 990 * "[" + 990 * "]"), ["not valid TOML: nested too deep"]),
    ],
)
def test_a_model_file_that_is_wrong_says_where(run: Terminal, text: str, words: list[str]) -> None:
    Path("models.toml").write_text(text, encoding="utf-8")

    line = run.error("model", "load", "models.toml", code=2)

    assert all(word in line for word in ["models.toml", *words]), line
    assert run("model", "list", "--format", "json")[1] == "[]\n"


def test_a_model_whose_parameters_an_operator_spoilt_is_listed_with_the_error(
    run: Terminal, calls: Calls
) -> None:
    calls.sql(
        "INSERT INTO dc_model_list (model_no, model_id, model_group_id, model_param)"
        " VALUES (5, 'ML-RF', 'M1', '{')"
    )

    (row,) = run.rows("model", "list", "--group", "M1")

    assert row["params"].startswith("error: model_no 5: model_param: not JSON")
