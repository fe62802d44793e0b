import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.core import TyperGroup

from configs.errors import WrongState
from launcher.cli import execute
from launcher.commands import cluster
from launcher.terminal import method_table
from launcher.terminal.console import Column, fitting, progress, show, show_beside, table
from launcher.terminal.exports import Format, export
from launcher.terminal.lines import complain, note, remark, say, warn
from launcher.terminal.model_table import columns

MODEL = {
    "rank": 10,
    "model_id": "DL-TABNET",
    "batch_id": 1234,
    "model": "9001/12",
    "valid_auc": 0.75,
    "test_auc": 0.75,
    "valid_ks": 0.5,
    "test_ks": 0.5,
    "valid_f1_score": 0.5,
    "test_f1_score": 0.5,
    "threshold": 0.125,
    "fit_seconds": 120.5,
    "device": "cpu",
    "test": "6636/9000",
}


def drawn(rows, width=80):
    output = io.StringIO()
    shown = fitting(rows, columns("auc", rows), width)
    Console(file=output, width=width).print(table(rows, shown, width))
    return output.getvalue().splitlines()


@pytest.mark.parametrize(
    ("names", "shown"), [(["DATA001/1", "대출/2"], True), (["D1/1", "D1/1"], False)]
)
def test_a_leaderboard_of_several_data_sets_names_each_rows_however_narrow(names, shown):
    lines = drawn([MODEL | {"dataset": name} for name in names])

    assert max(map(cell_len, lines)) <= 80
    assert ("data set" in lines[0]) is shown
    assert any("대출/2" in line and "0.7500" in line for line in lines) is shown
    assert all("6636/9000" in line for line in lines[2:])


def test_columns_are_left_out_only_where_there_is_no_room_for_them():
    rows = [MODEL | {"dataset": "D1/1"}]
    all_of_them = columns("auc", rows)

    for width in range(60, 140):
        shown = fitting(rows, all_of_them, width)
        lines = drawn(rows, width)
        assert shown == [column for column in all_of_them if column in shown]
        if width >= 80:
            assert all(column.header in lines[0] for column in shown)
            assert "0.7500" in lines[2]
    assert len(fitting(rows, all_of_them, 150)) == len(all_of_them)
    assert not any(column.wide for column in fitting(rows, all_of_them, 60))


def test_on_a_narrow_terminal_workers_have_their_names_and_states():
    worker = {"worker": "three-gpu1", "host": "10.0.0.103", "threads": 4, "memory_mb": 15_061}
    counts = {"memory_limit_mb": 19_073, "running": 4, "waiting": 12, "gpus": 1, "tags": None}
    rows = [worker | counts | {"state": "not answering"}]
    shown = fitting(rows, cluster._COLUMNS, 60)
    output = io.StringIO()

    Console(file=output, width=60).print(table(rows, shown, 60))

    last = output.getvalue().splitlines()[2]
    assert last.split() == ["three-gpu1", "10.0.0.103", "4", "1", "-", "not", "answering"]


def test_words_around_a_table_are_broken_as_it_is(monkeypatch):
    output = io.StringIO()
    narrow = Console(file=output, width=40)
    monkeypatch.setattr("launcher.terminal.console.console", lambda **_: narrow)
    wide = [Column(f"c{n}", f"열 {n}", wide=True) for n in range(20)]

    show([dict.fromkeys((column.name for column in wide), 1)], wide, title="[제목] " * 9)

    lines = output.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 40
    said = " ".join(" ".join(lines).split())
    assert said.startswith("[제목] " * 9)
    assert said.endswith(", 열 18, 열 19; --format csv has all")


def test_a_long_text_stands_in_lines_behind_what_begins_it(monkeypatch, capsys):
    text = "batch 1 waits: no launcher runs; [start] one with `deepcredit launcher 서버`"
    show_beside("WARN  launchers  ", f"{text}\x1b")
    assert capsys.readouterr().out == f"WARN  launchers  {text}\\x1b\n"

    output = io.StringIO()
    narrow = Console(file=output, width=40)
    monkeypatch.setattr("launcher.terminal.console.console", lambda **_: narrow)
    show_beside("WARN  launchers  ", text)

    first, *others = output.getvalue().splitlines()
    assert first.startswith("WARN  launchers  batch 1 waits:")
    assert all(line.startswith(" " * 17) for line in others)
    assert max(map(cell_len, [first, *others])) <= 40
    assert " ".join("".join([first[17:], *(line[16:] for line in others)]).split()) == text


@pytest.mark.parametrize("width", [60, 80])
def test_long_names_leave_the_figures_of_a_table_whole(width):
    group = "저축은행신용평가모형재학습용신청자자료이천이십육년하반기"
    columns = (
        Column("group", "data set", text=True),
        Column("rows", "rows"),
        Column("target", "target", text=True),
        Column("table", "table", text=True),
        Column("sha", "sha256", text=True, wide=True),
    )
    row = {"group": group, "rows": 123456, "target": "y" * 64, "table": "t" * 30, "sha": "a" * 64}
    shown = fitting([row], columns, width)
    output = io.StringIO()
    Console(file=output, width=width).print(table([row], shown, width))
    lines = output.getvalue().splitlines()

    assert max(map(cell_len, lines)) <= width
    assert [word for word in ("data set", "rows", "target", "table") if word in lines[0]] == [
        *("data set", "rows", "target", "table")
    ]
    assert "123456" in lines[2]
    assert "".join(line.split(" ")[0] for line in lines[2:]) == group
    assert output.getvalue().count("y") == 64


METHOD = {
    "method": "weighted",
    "chosen": 0,
    "n_models": 30,
    "valid_f1_score": 0.5,
    "test_f1_score": 0.5,
    "test_low": 0.4,
    "test_high": 0.6,
    "test_gain": -0.01,
    "test_gain_low": -0.02,
    "test_gain_high": 0.03,
    "test_auc": 0.7,
}


@pytest.mark.parametrize("width", range(50, 120, 5))
def test_an_interval_of_a_method_is_shown_whole_or_not_at_all(width):
    rows = method_table.rows([METHOD, METHOD | {"test_low": None, "test_high": None}])
    shown = fitting(rows, method_table.columns("f1_score"), width)
    output = io.StringIO()
    Console(file=output, width=width).print(table(rows, shown, width))
    drawn = output.getvalue()

    whole = {"interval": "0.4000 to 0.6000", "gain_interval": "-0.0200 to 0.0300"}
    names = {column.name for column in shown}
    assert {name for name, text in whole.items() if text in drawn} == names & set(whole)
    assert not re.search("[46]000", drawn.replace(whole["interval"], ""))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_beside_a_bar_80_columns_have_room_for_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    for name, value in (("COLUMNS", "80"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)

    with progress("   loading var/demo/demo.csv") as bar:
        bar(0.4, "writing 5000 rows")
    with progress("batch 12") as bar:
        bar(0.6, "224 of 374 models, 10 failed, about 12 min left, last ML-XGB 9001/12")

    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()))
    assert any(re.search(r"demo\.csv .* 40% writing 5000 rows", line) for line in lines)
    assert any(re.search(r"batch 12 .* 60% 224 of .* 12 min left", line) for line in lines)
    assert max(map(cell_len, lines)) <= 80


def test_what_a_row_holds_does_not_steer_the_terminal(capsys):
    show([{"mode": "a\x1b]0;title\x07\x9b2J"}], [Column("mode", "mode", text=True)])
    say("name  \x1b[2J\r한글\tb\u202e")

    said = capsys.readouterr().out
    assert not set("\x1b\x07\x9b\r\u202e") & set(said)
    assert "한글\tb" in said


@pytest.mark.parametrize("form", [Format.CSV, Format.JSON])
def test_rows_for_programs_are_as_they_are_and_steer_no_terminal_either(form, monkeypatch):
    def told(stream):
        monkeypatch.setattr("sys.stdout", stream)
        export(["mode"], [{"mode": "a\x9b2J"}], form)
        return stream.getvalue()

    assert "a\x9b2J" in told(io.StringIO())
    assert "a\\x9b2J" in told(Terminal())


@pytest.mark.parametrize(
    ("tell", "begin"),
    [(remark, ""), (note, "note: "), (warn, "warning: "), (complain, "error: ")],
)
def test_nor_does_what_is_said_beside_the_output(capsys, tell, begin):
    tell("name \x1b[2J\r\x9b한글")

    assert capsys.readouterr() == ("", f"{begin}name \\x1b[2J\\x0d\\x9b한글\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_nor_does_a_note_of_progress(monkeypatch, terminal):
    output = io.StringIO()
    there = Console(file=output, force_terminal=terminal, width=80)
    monkeypatch.setattr("launcher.terminal.console.console", lambda **_: there)
    monkeypatch.setattr("typer.echo", lambda line, err: output.write(line))

    with progress("batch 1") as bar:
        bar(0.5, "fits \x9b2J\x07")
    assert "fits \\x9b2J\\x07" in output.getvalue()


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_nor_does_an_error(monkeypatch, capsys, debug):
    def fail(*_, **__):
        raise WrongState("batch 1 failed: \x1b[2J")

    monkeypatch.setattr("launcher.cli.get_command", lambda _: SimpleTyper(fail))
    assert execute([*debug, "batch", "wait", "1"]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.endswith("error: batch 1 failed: \\x1b[2J\n")


class SimpleTyper(TyperGroup):
    def __init__(self, main):
        super().__init__(name="deepcredit")
        self.main = main
