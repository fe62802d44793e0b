"""What the agent of a host starts, leaves alone, tells and ends."""

import json
import os
import socket
import threading

import pytest

from configs.errors import BadSetting
from launcher.host import agent, processes, recorded
from tests.started import ended_afterwards
from tests.waiting import until

SLEEPS = "import time; time.sleep(600)"


class Host:
    def __init__(self, folder):
        self.folder = folder
        self.asked = {"folder": str(folder), "env_file": "", "interface": ""}

    def start(self, program=SLEEPS, *words, name="cpu", listens=None, **files):
        process = {"name": name, "words": ["-c", program, *words], "listens": listens}
        [answer] = agent.start(self.asked | {"files": files, "processes": [process]})
        return answer["state"]

    def look(self, name="cpu"):
        [found] = [each for each in agent.look(self.asked) if each["name"] == name]
        return found["alive"], found["why"]

    def dead(self):
        """Why it died, once it has."""
        until(lambda: not self.look()[0], 20)
        return self.look()[1]

    def stop(self):
        return [each["state"] for each in agent.stop(self.asked)]

    @property
    def record(self):
        [record] = recorded.read(self.folder)
        return record


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 1 10.0.0.1 22")
    with ended_afterwards():
        host = Host(tmp_path / "cluster")
        yield host
        host.stop()


def test_what_runs_is_left_alone_and_what_differs_is_told(host):
    assert host.start(tls="a") == "started"
    assert host.start(tls="a") == "already runs"
    assert host.start(SLEEPS, "other", tls="a") == "different"
    assert host.start(tls="b") == "different"  # those that run have read the file
    assert (host.folder / "tls").read_text() == "a"
    assert (host.folder / "tls").stat().st_mode & 0o777 == 0o600
    assert host.folder.stat().st_mode & 0o777 == 0o700

    assert host.stop() == ["stopped"]
    assert host.start(tls="b") == "started"
    assert (host.folder / "tls").read_text() == "b"


def test_what_is_left_of_a_process_that_died_is_no_reason_to_say_that_it_runs(host):
    forks = "import os, sys, time\nif os.fork(): sys.exit()\ntime.sleep(600)"
    assert host.start(forks) == "started"
    until(lambda: not host.look()[0])

    assert host.start(forks) == "unkept"
    assert host.start(forks, "other") == "different"
    assert host.stop() == ["stopped"]


def test_why_a_process_died_is_told_of_its_last_start_alone(host, monkeypatch):
    host.start("import sys; sys.exit('the first words')")
    assert host.dead() == "the first words"
    host.start("")
    assert host.dead() == ""

    log = host.folder / "logs" / "cpu.log"
    log.write_text("anew")  # as a log is emptied that has become long
    assert host.dead() == "anew"
    monkeypatch.setattr(agent, "_TAIL_BYTES", 5)
    log.write_text("many words\nlast")
    assert host.dead() == "last"


def test_what_does_not_end_is_told(host, monkeypatch):
    host.start()
    monkeypatch.setattr(recorded, "_POLITE_SECONDS", 0.1)
    monkeypatch.setattr(recorded, "_KILLED_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "kill", lambda *_: None)
        assert host.stop() == ["does not end"]
    assert host.stop() == ["stopped"]


def test_a_port_of_somebody_else_is_not_listened_at(host):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadSetting):
        host.start(listens=f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert agent.look(host.asked) == []


def test_a_host_tells_how_many_workers_are_wanted_and_stay(host):
    assert host.start(SLEEPS, "--workers", "3") == "started"
    agent.want(host.asked | {"workers": 2})
    (host.folder / f"retired.{host.record['pid']}").write_text("cpu-2\n")
    facts = agent.facts(host.asked)
    assert (facts["wanted"], facts["running"]) == (2, {"cpu": (3, 2)})

    os.kill(host.record["pid"], 9)
    host.dead()
    assert agent.facts(host.asked)["running"] == {}
    host.stop()
    assert agent.facts(host.asked)["wanted"] is None


def test_two_do_not_change_a_host_at_once(host):
    folder = agent._folder(host.asked)
    with agent._locked(folder):
        other = threading.Thread(target=agent.want, args=(host.asked | {"workers": 2},))
        other.start()
        other.join(0.5)
        assert not (folder / "wanted").exists()
    other.join(20)
    assert (folder / "wanted").read_text() == "2"


def test_variables_of_a_file_reach_what_is_started(host, tmp_path):
    file = tmp_path / "worker.env"
    text = "# a comment\n\n A=1\nB=\"two words\"\nC='x'\nD=a=b\nE='\n"
    file.write_text(f"F=1\n{text}", encoding="utf-8-sig")  # as an editor of Windows does
    file.chmod(0o600)
    host.asked["env_file"] = str(file)
    host.start("import json, os; print(json.dumps({n: os.environ.get(n) for n in 'ABCDEF'}))")

    expected = {"A": "1", "B": "two words", "C": "x", "D": "a=b", "E": "'", "F": "1"}
    assert json.loads(host.dead()) == expected


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("A=1\nno words\n", 0o600, "line 2 is not NAME=VALUE"),
        ("export A=1\n", 0o600, "line 1 is not NAME=VALUE"),
        ("A=1\n", 0o604, "everybody may use this file of secrets; chmod 600 it"),
    ],
)
def test_a_file_of_variables_that_is_none_is_named(host, tmp_path, text, mode, why):
    file = tmp_path / "worker.env"
    file.write_text(text)
    file.chmod(mode)

    with pytest.raises(ValueError, match=f"^{file}: {why}$"):
        agent.facts(host.asked | {"env_file": str(file)})
