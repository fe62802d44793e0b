"""Processes that compute apart: what comes back from them, when they end, and what ends them."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from configs.errors import BadData
from launcher.host import apart
from launcher.host.apart import Apart, Died, Hangs
from tests import apart_tasks as tasks
from tests.bank import ROOT
from tests.waiting import alive, until


@pytest.fixture
def here(monkeypatch):
    """Its processes rest for a moment only, so that none outlives the test."""
    monkeypatch.setattr(apart, "_REST_SECONDS", 0.3)
    here = Apart()
    yield here
    until(lambda: not here._all, 10)


@pytest.fixture
def call(here):
    def call(function, argument=None, *, name="name", stuck_seconds=0, look=lambda: None):
        return here.call(name, function, argument, stuck_seconds=stuck_seconds, look=look)

    return call


def test_what_is_computed_comes_back(call):
    assert call(tasks.echo, {"이름": [1.5, None]}) == {"이름": [1.5, None]}


def test_calls_of_one_name_use_one_process_and_those_of_another_name_end_it(call):
    one, again, other = call(tasks.pid), call(tasks.pid), call(tasks.pid, name="other")

    assert one == again != other
    assert not alive(one)
    assert alive(other)


def test_calls_at_once_have_processes_of_their_own_which_are_used_again(call):
    def both():
        at_work = threading.Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            meeting = (once(at_work) for _ in range(2))
            return set(pool.map(lambda look: call(tasks.pid_later, look=look), meeting))

    first = both()
    assert len(first) == 2
    assert both() == first


def once(at_work):
    """Waits until all are at work, the first time that it looks."""
    met = []

    def look():
        if not met:
            met.append(at_work.wait(30))

    return look


def test_a_process_without_calls_ends_soon(call):
    pid = call(tasks.pid)

    until(lambda: not alive(pid), 10)
    assert call(tasks.pid) != pid


def test_a_process_that_died_while_it_rested_is_not_used_again(call):
    pid = call(tasks.pid)
    subprocess.run(["kill", "-9", str(pid)], check=True)
    until(lambda: not alive(pid), 10)

    assert call(tasks.pid) != pid


@pytest.mark.parametrize(
    ("function", "raised", "said"),
    [
        (tasks.refuse, BadData, "행 3: no such column"),
        (tasks.be_awkward, RuntimeError, "Awkward: 3 and 3"),
        (tasks.leave, SystemExit, "3"),
        (tasks.lack, FileNotFoundError, "[Errno 2] No such file or directory: '3'"),
    ],
)
def test_an_error_comes_back_and_says_where_it_was(call, function, raised, said):
    with pytest.raises(raised) as caught:
        call(function, 3)

    assert (type(caught.value), str(caught.value)) == (raised, said)
    if raised is not RuntimeError:
        [note] = caught.value.__notes__
        assert note.startswith("In another process:\nTraceback")
        assert f"in {function.__name__}\n" in note


def test_an_error_costs_no_process(call):
    pid = call(tasks.pid)
    with pytest.raises(BadData):
        call(tasks.refuse, 1)

    assert call(tasks.pid) == pid


@pytest.mark.parametrize(
    ("function", "argument", "said"),
    [
        (tasks.leave_at_once, 7, "ended with exit code 7"),
        (tasks.kill_itself, signal.SIGSEGV, "was killed by SIGSEGV"),
        (tasks.kill_itself, signal.SIGKILL, "was killed by SIGKILL; if nobody killed it, the host"),
    ],
)
def test_a_process_that_dies_is_told_and_the_next_call_has_another(call, function, argument, said):
    with pytest.raises(Died, match=f"^{said}"):
        call(function, argument)

    assert call(tasks.echo, 1) == 1


def test_a_call_that_hangs_ends_and_says_where(call, tmp_path):
    marker = tmp_path / "pid"
    with pytest.raises(Hangs, match="in say_so_and_wait\n"):
        call(tasks.say_so_and_wait, str(marker), stuck_seconds=1)

    assert not alive(int(marker.read_text()))


def test_whoever_looks_may_end_it_as_for_the_memory_that_it_takes(here, call):
    told = []

    def look():
        told.append(here.memory())
        if told[-1] > 300e6:
            raise MemoryError(told[-1])

    with pytest.raises(MemoryError):
        call(tasks.take, 300, look=look)
    assert 300 * 2**20 < max(told) < 400 * 2**20
    call(tasks.take, 1, look=lambda: told.append(here.memory()))
    assert told[-1] < 50e6


def test_those_that_rest_can_be_ended_for_their_memory(here, call):
    pid = call(tasks.pid)
    assert here.memory() > 1e6
    here.end_rested()

    assert not alive(pid)
    assert here.memory() == 0


@pytest.mark.parametrize("function", [tasks.keep_the_interpreter, tasks.stop_itself])
def test_a_process_that_cannot_say_where_it_stands_ends_as_well(call, function):
    with pytest.raises(Hangs, match=r"has not run for [23] s"):
        call(function, 60, stuck_seconds=1)


def test_what_is_sent_to_every_process_does_not_end_it(call):
    assert call(tasks.be_signalled) == "goes on"


SCRIPT = """
import sys
from launcher.host.apart import Apart
from tests.apart_tasks import say_so_and_wait
Apart().call("name", say_so_and_wait, sys.argv[1], stuck_seconds=0, look=lambda: None)
"""


def test_it_ends_with_the_worker_however_that_ends(tmp_path):
    marker = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(marker)], cwd=ROOT) as worker:
        until(marker.exists, 30)
        pid = int(marker.read_text())
        assert alive(pid)
        worker.kill()

    until(lambda: not alive(pid), 10)


def test_what_it_prints_goes_where_the_worker_prints(capfd, call):
    call(tasks.echo, 1)
    call(tasks.pid, name="other")  # which ends the first

    assert capfd.readouterr().out == "said 1\n"
