"""Processes of which a folder keeps a record."""

import os
import signal
import subprocess
import time

import pytest

from launcher.host import processes, recorded
from tests.started import ended_afterwards
from tests.waiting import alive, until

SLEEPS = "import time; time.sleep(600)"
# Neither it nor its child ends when it is told to.
STUBBORN = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
open("ready", "a").write("x")
{SLEEPS}
"""
TIDIES = f"""
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    open("tidied", "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
open("ready", "a").write("x")
{SLEEPS}
"""


@pytest.fixture
def begin(tmp_path):
    """Starts Python with a program; returns the record once it is `ready` so many times."""
    (tmp_path / "logs").mkdir()

    def begin(program, ready=0, **settings):
        recorded.begin(tmp_path, "cpu", ["-c", program], settings)
        until(lambda: not ready or (tmp_path / "ready").exists())
        until(lambda: not ready or len((tmp_path / "ready").read_text()) == ready)
        [record] = recorded.read(tmp_path)
        until(lambda: recorded.family(record))
        return record

    with ended_afterwards():
        yield begin
        for record in recorded.read(tmp_path):
            for pid in recorded.family(record):
                os.kill(pid, signal.SIGKILL)


def test_a_process_is_in_its_file_before_it_runs(tmp_path, begin, monkeypatch):
    def fail(*_, env, **__):
        [record] = recorded.read(tmp_path)
        assert env[recorded.TOKEN] == record["token"]
        assert recorded.family(record) == []
        assert not recorded.leads(record)
        raise OSError("no process is left")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(OSError, match="no process is left"):
        begin(SLEEPS)


def test_a_process_is_known_until_the_host_starts_anew(tmp_path, begin):
    (tmp_path / "logs" / "cpu.log").write_text("from before")
    record = begin(SLEEPS, **{recorded.TOKEN: "somebody else's"})

    assert (recorded.leads(record), recorded.family(record)) == (True, [record["pid"]])
    assert record["log_from"] == len("from before")
    assert os.getsid(record["pid"]) == record["pid"]
    another_boot = record | {"boot": "another"}
    assert (recorded.leads(another_boot), recorded.family(another_boot)) == (False, [])
    assert not recorded.leads(record | {"started": record["started"] + 1})


def test_what_is_told_to_end_has_time_for_it(tmp_path, begin):
    record = begin(TIDIES, ready=1)

    assert recorded.end(tmp_path, [record]) == set()
    assert (tmp_path / "tidied").exists()
    assert list(recorded.read(tmp_path)) == []


def test_what_does_not_end_when_it_is_told_is_killed_with_all_that_it_started(
    tmp_path, begin, monkeypatch
):
    monkeypatch.setattr(recorded, "_POLITE_SECONDS", 0.1)
    record = begin(STUBBORN, ready=2)
    pids = recorded.family(record)
    assert len(pids) == 2

    assert recorded.end(tmp_path, [record]) == set()
    until(lambda: not any(map(alive, pids)))
    assert list(recorded.read(tmp_path)) == []


def test_what_is_left_of_a_process_that_died_is_killed_without_a_wait(tmp_path, begin, monkeypatch):
    monkeypatch.setattr(recorded, "_POLITE_SECONDS", 600.0)
    record = begin(STUBBORN, ready=2)
    os.kill(record["pid"], signal.SIGKILL)
    until(lambda: not recorded.leads(record))
    [pid] = recorded.family(record)

    assert recorded.end(tmp_path, [record]) == set()
    until(lambda: not alive(pid))
    assert list(recorded.read(tmp_path)) == []


def test_what_cannot_even_be_killed_is_told_and_stays_in_its_file(tmp_path, begin, monkeypatch):
    record = begin(SLEEPS)
    monkeypatch.setattr(recorded, "_POLITE_SECONDS", 0.1)
    monkeypatch.setattr(recorded, "_KILLED_SECONDS", 0.1)
    monkeypatch.setattr(processes, "kill", lambda *_: None)
    began = time.monotonic()

    assert recorded.end(tmp_path, [record]) == {"cpu"}
    assert time.monotonic() - began < 20
    assert [each["name"] for each in recorded.read(tmp_path)] == ["cpu"]
