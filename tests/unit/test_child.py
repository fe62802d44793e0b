"""The process of a batch, as its launcher starts, hears and ends it."""

import os
import signal
import time

from launcher.service import child as children
from launcher.service.child import Child, spawn
from launcher.service.verdict import Exit
from pipeline.messages import Finished, encode
from tests.waiting import alive, until


class Told:
    """What a launcher is told of a child, in the order in which it hears it."""

    def __init__(self):
        self.messages, self.lines = [], []

    def tell(self, message):
        if not isinstance(message, Exit):
            time.sleep(0.3)  # long after the process has ended
        self.messages.append(message)

    def child(self, *command):
        return Child(spawn(command), tell=self.tell, hear=self.lines.append)

    def end(self):
        """How it ended."""
        return until(lambda: self.messages and self.messages[-1], 20)


def test_all_that_a_child_says_is_heard_before_its_end_and_what_is_no_message_is_only_printed():
    told, last_word = Told(), Finished("a word")
    with told.child("printf", "%s", f"No message\n{encode(last_word).decode()}"):
        until(lambda: len(told.messages) == 2, 20)

    assert told.messages == [last_word, Exit(code=0)]
    assert len(told.lines) == 1
    assert "No message" in told.lines[0]


def test_the_end_of_a_child_is_told_although_what_it_left_behind_holds_its_pipes(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(children, "_DRAIN_SECONDS", 0.2)
    told, left = Told(), tmp_path / "left"
    there = f"setsid sh -c 'echo $$ >{left}; exec sleep 600' & "
    until_it_left = f"while [ ! -s {left} ]; do sleep 0.01; done"
    with told.child("sh", "-c", there + until_it_left):
        assert told.end() == Exit(code=0)
        pid = int(left.read_text())
        assert alive(pid)
        os.kill(pid, signal.SIGKILL)


def test_a_number_that_another_process_may_have_by_now_is_not_signalled(monkeypatch):
    told, signalled = Told(), []
    with told.child("true") as child:
        assert child.wait(20)
        monkeypatch.setattr(os, "killpg", lambda *words: signalled.append(words))
        child.stop()

    assert signalled == []


def test_a_child_gives_memory_back_and_the_environment_may_say_otherwise(monkeypatch):
    name = "MALLOC_TRIM_THRESHOLD_"
    found = []
    for _ in range(2):
        with spawn(["printenv", name]) as process:
            found.append(process.communicate(timeout=20)[0])
        monkeypatch.setenv(name, "7")

    assert found == [b"65536\n", b"7\n"]
