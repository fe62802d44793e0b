"""What hosts may say to us through SSH, with a program of ours in the place of `ssh`."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.cluster import Cluster
from configs.errors import ClusterUnavailable
from launcher.cluster import deploy, discovery
from launcher.cluster.look import Picture
from launcher.cluster.plan import Process
from launcher.cluster.ssh import ask, ask_all, command, together
from launcher.cluster.waiting import wait
from launcher.host import agent
from launcher.host.keep import LOG
from launcher.host.versions import versions
from tests.ports import free_port
from tests.waiting import until

FACTS = {"machine": "m", "cores": 2, "gpus": 0, "memory_mb": 4000, "ip": "10.0.0.1"}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Lets every host say these lines."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def tell(*lines):
        (tmp_path / "said").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "ssh").write_text(
            f'#!/bin/sh\ncd "{tmp_path}"; cat >asked; env >environ; cat said\n'
        )
        (tmp_path / "ssh").chmod(0o755)
        return Cluster.model_validate({"hosts": ["10.0.0.1"]})

    return tell


def test_what_login_shells_say_before_and_after_the_answer_is_passed_over(told):
    cluster = told("Welcome!", json.dumps({"answer": [7]}), "{}", "Good bye.")

    assert ask(cluster.scheduler, cluster.known_hosts, {"action": "look"}) == [7]


def test_ssh_has_none_of_our_secrets_to_send(told, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", "geheim")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    cluster = told(json.dumps({"answer": []}))

    ask(cluster.scheduler, cluster.known_hosts, {"action": "look"})

    environ = (tmp_path / "environ").read_text()
    assert "geheim" not in environ
    assert "SSH_AUTH_SOCK=/agent" in environ


@pytest.mark.parametrize("lines", [[], ["Welcome!"], ["[1]", "null"]])
def test_a_host_without_an_answer_is_named(told, lines):
    cluster = told(*lines)

    with pytest.raises(ClusterUnavailable, match=r"^10\.0\.0\.1: .*no answer of our agent"):
        ask(cluster.scheduler, cluster.known_hosts, {"action": "look"})


def test_a_newer_agent_that_tells_more_comes_to_the_comparison_of_versions(told):
    there = versions() | {"deepcredit": "99.0"}
    cluster = told(json.dumps({"answer": FACTS | {"versions": there, "weather": "fine"}}))

    with pytest.raises(ClusterUnavailable, match=r"10\.0\.0\.1 has deepcredit 99\.0 in place of"):
        deploy.start(cluster, lambda *_: None)


def test_an_older_agent_that_tells_less_is_named_with_its_version(told):
    there = {"machine": "m", "versions": {"deepcredit": "0.0.1"}}
    cluster = told(json.dumps({"answer": there}))

    with pytest.raises(ClusterUnavailable, match=r"10\.0\.0\.1 has deepcredit 0\.0\.1, which"):
        deploy.start(cluster, lambda *_: None)


def test_cards_are_counted_as_those_see_them_who_are_started(told, tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr("launcher.host.machine._GPUS", tmp_path / "gpus")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 1 10.0.0.1 22")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    env_file = tmp_path / "worker.env"
    env_file.write_text("CUDA_VISIBLE_DEVICES=2\n")
    env_file.chmod(0o600)
    cluster = told(json.dumps({"answer": FACTS | {"versions": versions()}}))

    for file, seen in (("", 3), (str(env_file), 1)):
        hosts = (cluster.scheduler.model_copy(update={"env_file": file}),)
        discovery.facts_of(cluster, hosts)
        request = json.loads((tmp_path / "asked").read_text())
        assert agent.facts(request)["gpus"] == seen


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        (
            ["Unknown option: -P", "usage: python3 [option] ...", "Try `python -h' for more."],
            2,
            r"10\.0\.0\.1: \S+python\S* is older than Python 3\.11; install",
        ),
        (
            ["Warning: Identity file /k not accessible: No such file.", "a@b: Permission denied."],
            255,
            r"refuses our key: Warning: Identity file /k not accessible: .*denied; check user",
        ),
        (
            ["ssh: connect to host 10.0.0.1 port 22: Connection timed out"],
            255,
            r"^10\.0\.0\.1: cannot reach 10\.0\.0\.1 port 22: Connection timed out$",
        ),
        (
            ["python3: Error while finding module specification for 'launcher.host.agent' (...)"],
            1,
            r"python\S* with DeepCredit of the version here is not there .*; install it",
        ),
    ],
)
def test_why_a_host_refuses_stands_before_the_last_line(told, tmp_path, lines, code, said):
    cluster = told()
    (tmp_path / "said").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "ssh").write_text(f'#!/bin/sh\ncat "{tmp_path}/said" >&2; exit {code}\n')

    with pytest.raises(ClusterUnavailable, match=said):
        ask(cluster.scheduler, cluster.known_hosts, {"action": "look"})


def test_of_hosts_that_cannot_be_asked_for_the_same_reason_it_is_said_once(tmp_path):
    hosts = [{"address": "10.0.0.1", "name": "one"}, {"address": "10.0.0.2", "name": "two"}]
    key = tmp_path / "key"
    cluster = Cluster.model_validate({"hosts": hosts, "key_file": key})

    said = rf"^one, two: key_file {key}: No such file or directory; correct .*; nothing was start"
    with pytest.raises(ClusterUnavailable, match=said):
        deploy.start(cluster, lambda *_: None)
    with pytest.raises(ClusterUnavailable, match=r"^one, two: key_file .* goes on; .* stop` again"):
        deploy.stop(cluster, lambda *_: None)
    assert together({"a": "a: x", "b": "no ssh", "c": "c: x", "d": "no ssh"}) == "a, c: x; no ssh"


def test_what_a_user_s_ssh_config_says_does_not_get_in_our_way(tmp_path):
    host = Cluster.model_validate({"hosts": ["10.0.0.1"]}).scheduler

    assert {"ControlPath=none", "RemoteCommand=none"} <= {*command(host, tmp_path / "known_hosts")}


def test_a_start_does_not_wait_for_what_was_stopped_meanwhile(told, monkeypatch):
    monkeypatch.setattr("launcher.cluster.waiting._ALIVE_EVERY_SECONDS", 0.5)
    cluster = told(json.dumps({"answer": []}))
    started = {"10.0.0.1": (Process("scheduler", ()), Process("cpu", ()))}
    address, deadline = f"tcp://127.0.0.1:{free_port()}", time.monotonic() + 60

    with pytest.raises(ClusterUnavailable) as caught:
        wait(cluster, address, None, started, {"10.0.0.1-cpu"}, deadline, lambda *_: None)

    assert str(caught.value) == "; ".join(
        f"10.0.0.1: {name} was ended by `deepcredit cluster stop` meanwhile"
        for name in ("scheduler", "cpu")
    )


def test_what_is_scaled_behind_a_stop_is_not_started(told, tmp_path):
    folder = tmp_path / "host"
    process = Process("cpu1", ("-c", "import time; time.sleep(600)"))
    request = {"folder": str(folder), "env_file": "", "files": {}, "scaled": True}
    request["processes"] = [process.as_json()]
    agent.want({"folder": str(folder), "workers": 2})
    agent.stop({"folder": str(folder)})
    answer = agent.start(request)
    cluster = told(json.dumps({"answer": answer}))

    with pytest.raises(ClusterUnavailable) as caught:
        deploy.start_processes(
            cluster, {"10.0.0.1": (process,)}, None, lambda *_: None, scaled=True
        )

    assert str(caught.value) == (
        "10.0.0.1: cpu1 was not started, as `deepcredit cluster stop` came in between; "
        "`deepcredit cluster start` first"
    )
    assert json.loads((tmp_path / "asked").read_text())["scaled"] is True
    assert agent.look({"folder": str(folder)}) == []
    agent.want({"folder": str(folder), "workers": 2})
    try:
        (begun,) = _run_agent({"action": "start", **request})["answer"]
        assert begun["state"] == "started"
    finally:
        agent.stop({"folder": str(folder)})


def test_hosts_that_should_have_workers_and_have_none_are_named():
    names = ("a", "a-cpu", "b", "c", "d")
    hosts = [
        {"address": name, "gpus": int(name == "d"), "workers": 0 if name in "cd" else 1}
        for name in names
    ]
    cluster = Cluster.model_validate({"hosts": hosts})
    workers = [SimpleNamespace(name=name) for name in ("a-cpu-cpu-0", "a-cpu-cpu-1", "b-cpu1", "x")]

    found = discovery.without_workers(cluster, Picture("", "", workers))
    assert [host.name for host in found] == ["a", "d"]


@pytest.mark.parametrize(
    ("facts", "gpus", "said"),
    [
        ({}, 0, "; `deepcredit cluster start`"),
        ({"running": {"cpu": [2, 2]}}, 0, ", but their process runs .* in /f/10\\.0\\.0\\.1/logs"),
        ({"running": {"cpu": [2, 0]}}, 0, "; `deepcredit cluster start`"),
        ({"wanted": 0}, 0, ": it was scaled to none; `deepcredit cluster scale 10.0.0.1=N`"),
        ({"wanted": 0}, 1, "; `deepcredit cluster start`"),
    ],
)
def test_why_no_worker_of_a_host_is_there(told, facts, gpus, said):
    told(json.dumps({"answer": FACTS | {"versions": versions()} | facts}))
    hosts = [{"address": "10.0.0.1", "folder": "/f", "gpus": gpus}]
    cluster = Cluster.model_validate({"hosts": hosts})

    [line] = discovery.left_out(cluster, Picture("", "", []))

    assert re.match(r"no worker of 10\.0\.0\.1 is there" + said, line)


def test_a_process_whose_keeper_was_killed_is_said_to_be_that(told):
    cluster = told(json.dumps({"answer": [{"name": "cpu", "state": "unkept", "retired": []}]}))

    said = r"10\.0\.0\.1: cpu runs, but the process that would start it again was killed; .*stop"
    with pytest.raises(ClusterUnavailable, match=said):
        deploy.start_processes(cluster, {"10.0.0.1": (Process("cpu", ()),)}, None, lambda *_: None)


@pytest.mark.parametrize(
    ("name", "ask_for", "advice"),
    [
        ("cpu.pid", agent.look, "end what the cluster may yet run there .*, then delete this file"),
        ("wanted", agent.facts, "delete this file, then say again .* `deepcredit cluster scale`"),
    ],
)
def test_a_file_that_is_damaged_is_named(tmp_path, monkeypatch, name, ask_for, advice):
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 1 10.0.0.1 22")
    (tmp_path / name).touch()

    with pytest.raises(ValueError, match=rf"{tmp_path}/{name} is damaged; {advice}"):
        ask_for({"folder": str(tmp_path), "interface": "", "env_file": ""})


def test_what_an_agent_writes_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink())
    )

    agent.want({"folder": str(tmp_path), "workers": 2})

    [file] = synced
    assert file.match(f"{tmp_path}/wanted.*.tmp")
    assert (tmp_path / "wanted").read_text() == "2"


def test_a_full_disk_is_said_with_the_folder(disk):
    agent._folder({"folder": str(disk)})
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    answer = _run_agent({"action": "want", "folder": str(disk), "workers": 2})

    assert answer == {"error": f"{disk}: no space left on its disk; free some"}


def test_a_folder_that_cannot_be_used_is_said_with_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "one"

    answer = _run_agent({"action": "want", "folder": str(folder), "workers": 2})

    advice = "correct the path in the table [cluster], or let this host's account use it"
    assert answer == {"error": f"{folder}/logs: Not a directory; {advice}"}


def test_a_file_of_settings_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "worker.env"
    file.write_bytes("A=é\n".encode("latin-1"))
    file.chmod(0o600)

    with pytest.raises(ValueError, match=rf"{file}: .*; save it in UTF-8"):
        agent.facts({"folder": str(tmp_path), "interface": "", "env_file": str(file)})


def _run_agent(request):
    done = subprocess.run(
        [sys.executable, "-m", "launcher.host.agent"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_nobody_need_be_asked():
    assert ask_all([], lambda host: host) == ({}, {})


def test_some_are_ended_before_the_others(tmp_path):
    waits = ["-c", "import time; time.sleep(600)"]
    wanted = [{"name": name, "words": waits, "listens": None} for name in ("cpu", "scheduler")]
    folder = {"folder": str(tmp_path)}
    _run_agent({"action": "start", "env_file": "", "files": {}, "processes": wanted, **folder})

    def alive():
        return {each["name"]: each["alive"] for each in agent.look(folder)}

    try:
        first = agent.stop({"but": ["scheduler"], **folder})
        assert (first, alive()) == ([{"name": "cpu", "state": "stopped"}], {"scheduler": True})
    finally:
        rest = agent.stop(folder)
    assert (rest, alive()) == ([{"name": "scheduler", "state": "stopped"}], {})


def test_a_process_is_told_which_log_is_its_own(tmp_path):
    words = ["-c", f"import os; print(os.environ['{LOG}'])"]
    wanted = {"name": "cpu", "words": words, "listens": None}
    request = {"folder": str(tmp_path), "env_file": "", "files": {}, "processes": [wanted]}

    _run_agent({"action": "start", **request})

    log = tmp_path / "logs" / "cpu.log"
    until(lambda: log.read_text() == f"{log}\n")
