"""What the keeper of a process starts again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from launcher.host import keep
from tests.waiting import alive, until

# Notes its words; the first time one worker is told to leave, then all that are left.
CHILD = """
import json, os, sys
from pathlib import Path
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
left, name = int(words["--workers"]), words["--name"]
seen, retired = Path("seen"), Path(os.environ["CLUSTER_WORKERS_RETIRED"])
first = not seen.exists()
with seen.open("a") as file:
    print(json.dumps([left, name, retired.read_text()]), file=file)
names = [name] if left == 1 else [f"{name}-{n}" for n in range(left)]
with retired.open("a") as file:
    file.writelines(f"{each}\\n" for each in (names[:1] if first else names))
"""


@pytest.mark.parametrize(
    ("workers", "again"), [(3, [2, "one-cpu", "one-cpu-2\n"]), (2, [1, "one-cpu-0", "one-cpu-1\n"])]
)
def test_workers_that_were_told_to_leave_do_not_come_back(tmp_path, monkeypatch, workers, again):
    monkeypatch.chdir(tmp_path)
    words = ["-c", CHILD, "--name", "one-cpu", "--workers", str(workers)]

    assert keep._Keeper(words).run() == 0

    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert seen == [[workers, "one-cpu", ""], again]
    assert not list(tmp_path.glob("retired.*"))


# Notes its starts. The first time it ends with that code, or dies by that signal if it is negative;
# the second time it leaves for good.
STARTER = """
import os, sys
from pathlib import Path
started = Path("started")
with started.open("a") as file:
    file.write("x")
code = int(sys.argv[1])
if started.read_text() == "x":
    os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
Path(os.environ["CLUSTER_WORKERS_RETIRED"]).write_text("one\\n")
"""


@pytest.mark.parametrize(
    ("first", "code", "starts"), [(1, 1, 1), (0, 0, 2), (-signal.SIGKILL, 0, 2)]
)
def test_what_cannot_start_is_given_up_and_what_was_killed_or_ended_in_order_is_not(
    tmp_path, monkeypatch, first, code, starts
):
    monkeypatch.chdir(tmp_path)

    assert keep._Keeper(["-c", STARTER, str(int(first))]).run() == code
    assert len((tmp_path / "started").read_text()) == starts


# Ends with these codes, one at each start, then leaves for good.
CODES = """
import os, sys
from pathlib import Path
started = Path("started")
with started.open("a") as file:
    file.write("x")
codes = [*map(int, sys.argv[1:]), None]
code = codes[len(started.read_text()) - 1]
if code is None:
    Path(os.environ["CLUSTER_WORKERS_RETIRED"]).write_text("one\\n")
sys.exit(code)
"""


@pytest.mark.parametrize(("settled", "codes"), [(15, (0, 1, 1)), (0, (1, 1))])
def test_what_did_well_once_or_lasted_is_started_again_whatever_it_ends_with(
    tmp_path, monkeypatch, settled, codes
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keep, "_SETTLED_SECONDS", settled)
    monkeypatch.setattr(keep, "_FIRST_PAUSE_SECONDS", 0.01)

    assert keep._Keeper(["-c", CODES, *map(str, codes)]).run() == 0
    assert len((tmp_path / "started").read_text()) == len(codes) + 1


@pytest.mark.parametrize(("settled", "pauses"), [(15, [1, 2, 4, 8, 10, 10]), (0, [0.5, 0.5])])
def test_what_ends_soon_is_started_again_later_and_later(tmp_path, monkeypatch, settled, pauses):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keep, "_SETTLED_SECONDS", settled)
    keeper, waited = keep._Keeper(["-c", ""]), []
    told = lambda pause: waited.append(pause) or len(waited) == len(pauses)  # noqa: E731
    keeper._told = SimpleNamespace(is_set=lambda: False, wait=told)

    assert keeper.run() == 0
    assert waited == pauses


def test_a_keeper_that_is_told_to_end_ends_what_it_runs(tmp_path):
    sleeps = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    words = [sys.executable, "-m", "launcher.host.keep", "-c", sleeps]
    home = {"PYTHONPATH": str(Path(keep.__file__).parents[2])}
    with subprocess.Popen(
        words, cwd=tmp_path, env=os.environ | home, stdout=subprocess.PIPE
    ) as process:
        pid = int(process.stdout.readline())
        process.terminate()

        process.wait(20)
    assert not alive(pid)
    assert not list(tmp_path.glob("retired.*"))


def test_a_keeper_that_is_told_to_end_while_its_process_starts_ends_that(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keeper = keep._Keeper(["-c", "import time; time.sleep(60)"])
    keeper.end()

    assert keeper.run() == -signal.SIGTERM


def test_a_full_disk_keeps_nothing_from_being_started_again(tmp_path):
    words = [sys.executable, "-m", "launcher.host.keep", "-c", STARTER, "0"]
    home = {"PYTHONPATH": str(Path(keep.__file__).parents[2])}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words, cwd=tmp_path, env=os.environ | home, stderr=full, timeout=60, check=False
        )

    assert done.returncode == 0
    assert len((tmp_path / "started").read_text()) == 2


def test_a_python_that_is_away_for_a_while_is_waited_for(tmp_path, monkeypatch):
    python, link = sys.executable, tmp_path / "python"
    link.symlink_to(python)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(link))
    said = []

    def say(line):
        said.append(line)
        if "No such file" in line:
            link.symlink_to(python)
        elif len(said) == 1:
            link.unlink()

    monkeypatch.setattr(keep, "_say", say)
    assert keep._Keeper(["-c", STARTER, "0"]).run() == 0
    assert [line.partition(": ")[0] for line in said if str(link) in line] == [
        "[Errno 2] No such file or directory"
    ]
    assert len((tmp_path / "started").read_text()) == 2


# Writes 100 bytes for each line that it is sent, to whatever stderr is.
TALKER = """
import sys
for number in sys.stdin:
    print(number.strip().rjust(99, "-"), file=sys.stderr, flush=True)
"""


def test_a_log_does_not_grow_for_ever(tmp_path, monkeypatch):
    log, old = tmp_path / "cpu.log", tmp_path / "cpu.log.1"
    small = "from launcher.host import keep; keep._LOG_BYTES, keep._LOOK_SECONDS = 1000, 0.01; "
    with (
        log.open("ab") as stream,
        subprocess.Popen(
            [sys.executable, "-c", f"{small}keep.main()", "-c", TALKER],
            cwd=tmp_path,
            env=os.environ
            | {keep.LOG: str(log), "PYTHONPATH": str(Path(keep.__file__).parents[2])},
            stdin=subprocess.PIPE,
            stderr=stream,
            text=True,
        ) as process,
    ):
        try:
            for round_ in range(3):
                for number in range(11):
                    print(round_ * 11 + number, file=process.stdin, flush=True)
                last = f"-{round_ * 11 + 10}\n"
                until(lambda last=last: _ends(old, last) and not log.stat().st_size)
            print(33, file=process.stdin, flush=True)
            until(lambda: _ends(log, "-33\n"))
        finally:
            process.terminate()

    assert log.stat().st_size == 100  # no hole of zeros where the log was before
    assert [int(line.strip("-")) for line in old.read_text().splitlines()] == list(range(22, 33))


def test_a_keeper_sleeps_while_its_process_runs(tmp_path):
    words = [sys.executable, "-m", "launcher.host.keep", "-c", "print(flush=True); input()"]
    pipe, home = subprocess.PIPE, {"PYTHONPATH": str(Path(keep.__file__).parents[2])}
    with subprocess.Popen(
        words, cwd=tmp_path, env=os.environ | home, stdin=pipe, stdout=pipe
    ) as process:
        process.stdout.readline()
        time.sleep(0.2)
        before = psutil.Process(process.pid).num_ctx_switches().voluntary
        time.sleep(1)
        woke = psutil.Process(process.pid).num_ctx_switches().voluntary - before
        process.terminate()

    assert woke < 5


def _ends(file, text):
    return file.exists() and file.read_text().endswith(text)
