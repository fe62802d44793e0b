"""Processes that are found again, told to end, and known from others."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from launcher.host import processes
from tests.waiting import until

MARK = {"A_MARK": "of this test"}
MARKER = b"A_MARK=of this test"


@contextmanager
def running(*command):
    with subprocess.Popen(command, env=os.environ | MARK) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_process_is_known_by_when_it_began_whatever_its_program_is_called(tmp_path):
    odd = tmp_path / "a) Z 1"
    shutil.copy(shutil.which("sleep"), odd)
    with running(str(odd), "600") as process:
        until(lambda: psutil.Process(process.pid).name() == odd.name)
        began = processes.started_at(process.pid) / os.sysconf("SC_CLK_TCK")

        assert began == pytest.approx(
            psutil.Process(process.pid).create_time() - psutil.boot_time(), abs=2
        )


def test_a_family_has_no_dead_and_no_strangers():
    with (
        running("sleep", "600") as one,
        running("sleep", "600") as other,
        subprocess.Popen(["sleep", "600"]) as stranger,
    ):
        until(lambda: set(processes.family(MARKER)) == {one.pid, other.pid})
        assert processes.was_told(one.pid, "600")
        assert not processes.was_told(one.pid, "60")

        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # a zombie, until it is reaped
        assert processes.family(MARKER) == [one.pid]
        assert not processes.was_told(other.pid, "600")
        stranger.kill()


def test_a_process_that_has_come_to_use_the_number_is_not_signalled():
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with running("sleep", "600") as process:
        until(lambda: processes.family(MARKER))
        processes.kill(process.pid, signal.SIGKILL, b"A_MARK=of another")
        processes.kill(process.pid, signal.SIGTERM, MARKER)

        assert process.wait(20) == -signal.SIGTERM
    processes.kill(process.pid, signal.SIGKILL, MARKER)  # it is gone: no error
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_a_process_of_another_user_lives(monkeypatch):
    def kill(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert not processes.is_dead(1)
