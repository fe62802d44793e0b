"""The list of batches on a narrow terminal."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy.dialects.sqlite import dialect

from launcher.terminal.batch_table import COLUMNS, SHORT, as_listed
from launcher.terminal.console import fitting, table
from launcher.terminal.durations import in_utc
from storage.views import create_view

ROW = {
    "batch_id": 12345,
    "mode": "ensemble",
    "state": "U",
    "status": "running",
    "progress": 0.456,
    "progress_note": "456,000 of 1,000,000 ensembles, about 2 min left",
    "waits_for": None,
    "last_error": None,
    "age_seconds": 100_000,
    "batch_desc": "앙상블 신용평가",
    "dataset": "DATA001/1",
    "serve_server_id": "SERVER_001",
    "model_group": "M100",
}


def test_a_date_that_is_none_keeps_nobody_from_a_list():
    assert as_listed(ROW | {"age_seconds": None})["age"] is None
    assert in_utc("0000-00-00 00:00:00") == "0000-00-00 00:00:00"


def test_80_columns_have_data_set_server_age_and_progress_of_a_batch():
    rows = [
        as_listed(ROW),
        as_listed(ROW | {"mode": "train", "status": "running, but not heard of"}),
        as_listed(ROW | {"mode": "predict", "state": "E", "status": "waiting for a retry"}),
    ]
    shown = fitting(rows, COLUMNS, 80)
    output = io.StringIO()
    Console(file=output, width=80).print(table(rows, shown, 80))
    lines = output.getvalue().splitlines()

    assert max(map(cell_len, lines)) <= 80
    assert [column.name for column in COLUMNS if column not in shown] == [
        "batch_desc",
        "model_group",
    ]
    for words in ("12345", "ensemble", "running 46%", "27h", "DATA001/1", "SERVER_001", "456,000"):
        assert words in lines[2]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_long_note_takes_three_lines_and_says_that_it_is_cut(width):
    summary = (
        "1,000,000 ensembles of 30 models; vote: f1_score 0.5491 on valid, 0.5569 on test "
        "(0.5386 to 0.5754); best single model: 0.5514 on test" + "; 지역: 세종" * 9
    )
    done = {"state": "C", "status": "completed", "progress": 1.0}
    rows = [
        as_listed(ROW | done | {"progress_note": summary, "batch_desc": "앙상블 신용평가 " * 9}),
        as_listed(ROW | done | {"progress_note": "30 of 30 models trained"}),
        as_listed(ROW | done | {"progress_note": None}),
    ]
    shown = fitting(rows, COLUMNS, width)
    output = io.StringIO()
    Console(file=output, width=width).print(table(rows, shown, width))
    lines = output.getvalue().splitlines()
    cut, short, empty = (i for i, line in enumerate(lines) if "12345" in line)

    assert short - cut == 3
    assert "1,000,000 ensembles" in lines[cut]
    assert lines[cut + 2].rstrip().endswith("…")
    assert "…" not in "".join(lines[short:])
    assert empty == len(lines) - 1
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(
    ("changed", "telling"),
    [
        ({"progress_note": "224 of 374 models, 10 failed, about 12 min left"}, "12 min left"),
        (
            {
                "state": "E",
                "last_error": "NotFound: unknown model group '모형1'; did you mean 모형?",
            },
            "mean 모형?",
        ),
        (
            {"state": "I", "waits_for": "a launcher that serves queue 야간 (none does)"},
            "야간 (none does)",
        ),
    ],
)
def test_however_narrow_a_note_has_its_useful_words(changed, telling):
    output = io.StringIO()
    note = COLUMNS[-1]
    drawn = table([as_listed(ROW | changed)], [note], note.least)
    Console(file=output, width=note.least).print(drawn)

    assert telling in " ".join(output.getvalue().split())


def test_a_description_comes_back_first_where_there_is_more_room():
    rows = [as_listed(ROW)]

    left = {w: [c.header for c in COLUMNS if c not in fitting(rows, COLUMNS, w)] for w in (95, 120)}

    assert left == {95: ["models"], 120: []}


@pytest.mark.parametrize(
    ("changed", "status", "note"),
    [
        ({"state": "I", "status": "waiting", "waits_for": "a free server"}, "waiting", "waits for"),
        ({"state": "C", "status": "completed", "progress": 1.0}, "completed", "456,000 of"),
        ({"progress": None, "progress_note": "reading"}, "running", "reading"),
        ({"status": "being cancelled"}, "cancelling", "456,000 of"),
        (
            {"state": "E", "status": "failed", "last_error": "BadData: 표\nmore"},
            "failed",
            "BadData: 표",
        ),
    ],
)
def test_a_batch_is_told_in_short(changed, status, note):
    row = as_listed(ROW | changed)

    assert row["status"] == status
    assert row["note"].startswith(note)
    assert "\n" not in row["note"]


def test_the_words_that_are_shortened_are_those_of_the_view():
    sql = create_view("v_batch", dialect())

    assert [word for word in SHORT if f"'{word}'" not in sql] == []
