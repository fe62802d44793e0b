"""What hosts may say to us through SSH, with a program of ours in the place of `ssh`."""

import json
import os

import pytest

from configs.cluster import Cluster
from configs.errors import ClusterUnavailable
from launcher import agent
from launcher.cluster import deploy
from launcher.cluster.hosts import ask, ask_all
from launcher.versions import versions

FACTS = {"machine": "m", "cores": 2, "gpus": 0, "memory_mb": 4000, "ip": "10.0.0.1"}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Lets every host say these lines."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def tell(*lines):
        (tmp_path / "said").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "ssh").write_text(
            f'#!/bin/sh\ncat >"{tmp_path}/asked"; cat "{tmp_path}/said"\n'
        )
        (tmp_path / "ssh").chmod(0o755)
        return Cluster.model_validate({"hosts": ["10.0.0.1"]})

    return tell


def test_what_login_shells_say_before_and_after_the_answer_is_passed_over(told):
    cluster = told("Welcome!", json.dumps({"answer": [7]}), "{}", "Good bye.")

    assert ask(cluster.scheduler, cluster.known_hosts, {"action": "look"}) == [7]


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
    monkeypatch.setattr("launcher.host._GPUS", tmp_path / "gpus")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 1 10.0.0.1 22")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    env_file = tmp_path / "worker.env"
    env_file.write_text("CUDA_VISIBLE_DEVICES=2\n")
    env_file.chmod(0o600)
    cluster = told(json.dumps({"answer": FACTS | {"versions": versions()}}))

    for file, seen in (("", 3), (str(env_file), 1)):
        hosts = (cluster.scheduler.model_copy(update={"env_file": file}),)
        deploy.ask_facts(cluster, hosts)
        request = json.loads((tmp_path / "asked").read_text())
        assert agent.facts(request)["gpus"] == seen


def test_nobody_need_be_asked():
    assert ask_all([], lambda host: host) == ({}, [])
