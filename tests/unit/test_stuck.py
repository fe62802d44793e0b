"""A process whose thread waits for ever ends and says where; one that is merely slow does not."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from launcher.host.stuck import STUCK
from tests.bank import ROOT

_LIMIT = 1.2
_SCRIPT = f"""
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from configs import helpers
from launcher.host import stuck
from launcher.host.stuck import watched

helpers._WAKE_SECONDS = {_LIMIT / 20}
stuck._TELL_SECONDS = 0.2

def computes():
    until = time.monotonic() + {1.5 * _LIMIT}
    while time.monotonic() < until:
        sum(range(1000))

def asks_again():
    for _ in range(30):
        threading.Event().wait({_LIMIT / 20})

def waits():
    threading.Event().wait()

def waits_afterwards():
    with watched({_LIMIT}, print):
        pass
    time.sleep({2 * _LIMIT})

def helpers_compute_while_it_waits():
    threading.Thread(target=asks_again, daemon=True).start()
    waits()

def awaits_a_helper():
    with ThreadPoolExecutor(1) as pool:
        assert helpers.awaited([pool.submit(time.sleep, {1.5 * _LIMIT})]) == [None]

def may_wait():
    with watched(0, print):
        time.sleep({2 * _LIMIT})

print("begins", flush=True)
work = globals()[sys.argv[1]]
if work in (waits_afterwards, may_wait):
    work()
else:
    def tell(where):
        print(where, flush=True)
        waits()  # as where nobody reads what it says
    with watched({_LIMIT}, tell):
        work()
"""


@pytest.fixture(scope="module")
def run():
    """All at once, since each takes its time."""
    names = (
        *("computes", "asks_again", "awaits_a_helper", "waits_afterwards", "may_wait"),
        *("waits", "helpers_compute_while_it_waits"),
    )
    with ExitStack() as stack:
        started = {name: stack.enter_context(start(name)) for name in names}
        yield {
            name: (*process.communicate(timeout=60), process) for name, process in started.items()
        }


def start(name):
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    "name", ["computes", "asks_again", "awaits_a_helper", "waits_afterwards", "may_wait"]
)
def test_what_runs_now_and_then_goes_on(run, name):
    said, _, process = run[name]

    assert (process.returncode, said) == (0, "begins\n")


@pytest.mark.parametrize("name", ["waits", "helpers_compute_while_it_waits"])
def test_what_waits_for_ever_ends_and_says_where_it_stood(run, name):
    said, _, process = run[name]

    assert process.returncode == STUCK
    assert "in waits\n" in said
    assert "in wait\n" in said.rpartition("in waits\n")[2]


def test_a_process_that_was_stopped_for_longer_goes_on():
    with start("asks_again") as process:
        assert process.stdout.readline() == "begins\n"
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2 * _LIMIT)
        os.kill(process.pid, signal.SIGCONT)

        assert process.wait(60) == 0
