"""What a shell may make of a command's stdin, stdout and stderr."""

import subprocess
import sys

import pytest

from tests.bank import ROOT
from tests.terminal import Terminal


@pytest.mark.parametrize("form", ["table", "csv"])
def test_output_to_a_full_disk_is_one_line(stocked: Terminal, form: str) -> None:
    done = _shell(stocked, f"dataset list --format {form} >/dev/full")

    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_a_reader_that_has_seen_enough_is_no_error(stocked: Terminal) -> None:
    assert _shell(stocked, "dataset list --format csv | :").stderr == ""


def test_work_is_done_though_what_is_noted_beside_it_cannot_be_written(stocked: Terminal) -> None:
    add = "batch add --mode train --dataset DATA001/1 --model-group M100 --param testSize=2"

    assert "note: testSize 2" in _shell(stocked, add).stderr
    assert _shell(stocked, f"{add} 2>/dev/full").stdout == "2\n"


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full"])
def test_a_launcher_works_though_nobody_can_read_what_it_says(run: Terminal, streams: str) -> None:
    assert _shell(run, f"launcher S1 --drain {streams}").returncode == 0


def test_what_is_opened_does_not_get_the_number_of_a_stream_that_is_closed() -> None:
    opens = "from launcher.terminal import streams; streams.begin(); open('/dev/null').fileno() > 2"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "{opens} or 1 / 0" <&- >&- 2>&-'],
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 0


def _shell(terminal: Terminal, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -P -m launcher {command}"],
        env=terminal.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
