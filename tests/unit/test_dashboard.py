import io
import os
import pty
import re
from dataclasses import fields

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from configs.errors import DatabaseUnavailable
from launcher.terminal.dashboard import page, watch
from launcher.terminal.durations import in_short, in_words, seconds_of
from storage.overview import Failure, Overview, Run
from storage.servers import Server
from storage.waiting import Queue, Waiting


def server(name="SERVER_001", **changes):
    columns = dict.fromkeys(field.name for field in fields(Server)) | {
        "serve_server_id": name,
        "identity": "x",
        "silent": 3,
        "slots": 2,
        "tags": ("gpu",),
        "queues": ("default",),
        "paused": 0,
        "takes_none": None,
    }
    return Server(**(columns | changes))


def running(**changes):
    columns = {
        "batch_id": 12,
        "mode": "train",
        "batch_desc": None,
        "serve_server_id": "SERVER_001",
        "attempt": 1,
        "progress": 0.25,
        "progress_note": "모형 3/12",
        "seconds": 60,
        "overdue": 0,
        "unclaimed": 0,
        "cancelling": 0,
    }
    return Run(**(columns | changes))


def shown(width=80, height=None, **parts):
    empty = {"servers": (), "runs": (), "queues": (), "oldest": None, "failures": (), "failed": 0}
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False)
    overview = Overview(**(empty | parts))
    size = {"width": width, "height": height}
    console.print(page(overview, database="DB", late_after=30, silent_after=120, **size))
    return output.getvalue()


def test_nothing_is_said_in_words():
    assert shown().split("\n\n") == [
        "database DB",
        "no launcher is at work",
        "nothing is running",
        "nothing is waiting\n",
    ]


def test_of_the_time_left_only_the_note_tells():
    note = "3 of 12 models, about 2 min left"
    text = shown(servers=(server(),), runs=(running(progress_note=note),))

    assert f"25% 1 min 00 s {note}" in " ".join(text.split())
    assert text.count("left") == 1


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "up"),
        ({"paused": 1}, "paused"),
        ({"silent": 30}, "up"),
        ({"silent": 31}, "late"),
        ({"silent": 31, "paused": 1}, "late, paused"),
        ({"silent": 120}, "late"),
        ({"silent": 121}, "silent"),
        ({"silent": 121, "paused": 1}, "silent, paused"),
        ({"identity": None, "silent": None, "paused": 1}, "stopped, paused"),
        ({"takes_none": "it is stopping"}, "takes none"),
        ({"silent": 31, "takes_none": "it is stopping"}, "late, takes none"),
        ({"paused": 1, "takes_none": "it is stopping"}, "paused"),
    ],
)
def test_a_server_is_up_late_silent_stopped_or_paused(changes, word):
    assert f" {word} " in shown(servers=(server(**changes),))


def test_why_a_server_takes_none_is_said_below():
    text = shown(servers=(server(), server("S2", takes_none="the Dask cluster cannot be used")))

    harmful = shown(servers=(server("S\x1b[2J", takes_none="\x1b]0;title\x07"),))
    assert not set("\x1b\x07") & set(harmful)

    assert "S2 takes no batches: the Dask cluster cannot be used\n\nnothing" in text
    assert "SERVER_001 takes no" not in text


@pytest.mark.parametrize(
    ("queues", "words"),
    [
        (("default",), "default"),
        (("urgent", "default"), "urgent, default"),
        ((), "-"),  # paused before it was ever started
    ],
)
def test_a_server_names_the_queues_it_serves(queues, words):
    (line,) = [
        line
        for line in shown(servers=(server(queues=queues),)).splitlines()
        if "SERVER_001" in line
    ]
    assert re.split(" {2,}", line.strip())[-1] == words


def test_what_is_wrong_with_a_run_stands_in_the_place_of_its_note():
    assert "its lease has ended" in shown(runs=(running(overdue=1),), width=100)
    assert "U was set by hand" in shown(runs=(running(unclaimed=1, overdue=1),), width=100)
    assert "is being cancelled" in shown(runs=(running(cancelling=1),), width=100)
    late = (server(silent=79),)
    assert "its launcher is late; may be dead" in shown(servers=late, runs=(running(),), width=100)
    assert "its launcher" not in shown(servers=(server(),), runs=(running(),), width=100)


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=190)


@settings(max_examples=30, deadline=None)
@example(name="밤" * 32, note="", error="", paused=1)
@given(name=names, note=names, error=st.text(max_size=400), paused=st.integers(0, 1))
def test_every_line_fits_80_columns(name, note, error, paused):
    text = shown(
        servers=(server(name, paused=paused, tags=()),),
        runs=(running(serve_server_id=name, progress_note=note, seconds=10**6),),
        queues=(
            Queue(
                queue=name[:32] or "q" * 32, waiting=10**6, due=10**5, later=10**5, paused=paused
            ),
        ),
        oldest=Waiting(batch_id=10**9, queue="q", seconds=10**7),
        failures=(
            Failure(
                batch_id=10**7, mode="train", seconds=80_000, error_class="Bad", error_text=error
            ),
        ),
        failed=1,
    )

    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "waiting  retries due  retries later" in text
    assert re.search(r" 1000000 +100000 +100000" + "  paused" * paused, text)


@pytest.mark.parametrize(("height", "listed"), [(24, 3), (12, 0), (5, 0), (60, 9)])
def test_as_many_errors_are_listed_as_fit_a_terminal(height, listed):
    errors = tuple(
        Failure(batch_id=n, mode="train", seconds=60, error_class="BadData", error_text="x" * 90)
        for n in range(9)
    )
    text = shown(servers=(server(),), runs=(running(),), failures=errors, failed=12, height=height)

    assert text.count("BadData") == listed
    assert len(text.splitlines()) <= max(height, 13)
    newest = f", the newest {listed}:" if listed else ""
    assert f"failed for good in the last day: 12{newest}\n" in text


def test_watching_outlives_a_database_that_is_away():
    answers = [DatabaseUnavailable("it does not answer"), None, KeyboardInterrupt()]

    def draw(width, height):
        assert (width, height) == (80, 22)  # two lines are for the time and the keys
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return Text("the page")

    output = io.StringIO()
    console = Console(file=output, width=80, height=24, force_terminal=True)
    with pytest.raises(KeyboardInterrupt):
        watch(draw, console, every=0.01, keys=False)

    text = output.getvalue()
    assert text.index("trying on") < text.index("the page")
    assert re.search(r"20\d\d-\d\d-\d\d [\d:]{8} UTC, every 0\.01 s; q ends", text)
    assert answers == []


def test_q_ends_it(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        drawn = []

        def draw(width, height):
            drawn.append(width)
            os.write(master, b"xq")
            return Text("page")

        console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
        watch(draw, console, every=30, keys=True)
    os.close(master)

    assert drawn == [80]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90d", 7_776_000), ("12h", 43_200), ("30min", 1800), ("2 w", 1_209_600)]
)
def test_lengths_of_time_are_read(text, seconds):
    assert seconds_of(text, "--x") == seconds


@pytest.mark.parametrize("text", ["90", "d", "-1d", "1.5d", "999999w", "", "٣d x"])
def test_other_lengths_are_refused(text):
    with pytest.raises(typer.BadParameter, match="90d"):
        seconds_of(text, "--x")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (-1, "0 s"),
        (59, "59 s"),
        (61, "1 min 01 s"),
        (3599, "59 min"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_lengths_of_time_are_told(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (100_000, "27h"), (200_000, "2d")],
)
def test_lengths_of_time_are_told_in_short_and_read_again(seconds, words):
    assert in_short(seconds) == words
    assert seconds_of(words, "--x") == pytest.approx(max(0, seconds), rel=0.5)
