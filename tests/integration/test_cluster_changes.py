"""Clusters over SSH whose workers and hosts come and leave."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from launcher.cluster.connection import connect
from tests import tasks
from tests.ports import free_port
from tests.waiting import alive, until


@pytest.mark.slow
def test_workers_come_and_leave_while_tasks_run(admin):
    noted = [str(admin.folder / name) for name in "ab"]
    admin.cluster("start")
    too_many = f"two={os.cpu_count()}"  # with that of `one`, the same machine
    assert "one, two: workers times threads are" in admin.cluster("scale", too_many, code=2)
    with (
        closing(connect(f"tcp://127.0.0.1:{admin.port}", patience=30)) as executor,
        ThreadPoolExecutor(1) as pool,
    ):
        done = pool.submit(lambda: list(executor.run(tasks.note_for_long, noted)))
        until(lambda: all(Path(name).exists() for name in noted), 30)
        said = admin.cluster("scale", "one=2", "two=0")
        values = {each.value for each in done.result()}

    assert "two: two-cpu leaves after what it runs" in said
    assert "one: cpu1 started" in said
    assert len(values) == 2
    assert {Path(name).read_text() for name in noted} == {"x"}  # nothing was done twice
    until(lambda: admin.workers() == {"one-cpu": "there", "one-cpu1": "there"}, 20)
    assert "warning: no worker of two is there" in admin.cluster("status")
    assert "one: one-cpu" in admin.cluster("scale", "one=1")
    until(lambda: len(admin.workers()) == 1, 20)
    assert "two: cpu1 started" in admin.cluster("scale", "two=1")
    there = admin.workers()
    assert len(there) == 2
    admin.cluster("start")
    assert admin.workers() == there
    admin.cluster("stop")
    assert not list((admin.folder / "hosts").glob("*/wanted"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["start", "stop"])
def test_workers_of_a_host_that_is_no_longer_configured_leave_for_good(admin, command):
    admin.cluster("start")
    [left] = [record["pid"] for record in admin.records() if "two-cpu" in record["words"]]
    admin.write([{"name": "one", "tags": ["first"]}])

    said = admin.cluster(command)

    assert "two-cpu leaves after what it runs: its host is not in `hosts` any more" in said
    assert "one-cpu" not in said.partition("\n\n")[0]
    until(lambda: not alive(left), 30)
    if command == "start":
        assert admin.workers() == {"one-cpu": "there"}


@pytest.mark.slow
def test_workers_of_a_host_that_was_another_machine_before_leave_for_good(admin):
    known = admin.folder / "known"
    known.write_text(admin.sshd.known_hosts.read_text().replace("127.0.0.1", "127.0.0.*"))
    hosts = [{"name": "one", "workers": 0}, {"name": "two"}]
    moved = {"name": "two", "address": "127.0.0.2", "folder": str(admin.folder / "hosts" / "new")}
    admin.write(hosts, known_hosts=str(known))
    admin.cluster("start")
    [left] = [record["pid"] for record in admin.records() if "two-cpu" in record["words"]]

    admin.write([hosts[0], moved], known_hosts=str(known))
    started = admin.cluster("start")
    [there] = json.loads(admin.cluster("status", "--format", "json"))
    admin.write(hosts, known_hosts=str(known))
    [record] = (admin.folder / "hosts" / "new").glob("two/*.pid")
    stopped = admin.cluster("stop")

    assert "two-cpu leaves after what it runs: its host was 127.0.0.1 before" in started
    assert (there["worker"], there["host"]) == ("two-cpu", "127.0.0.2")
    until(lambda: not alive(left), 30)
    assert "two-cpu leaves after what it runs: its host was 127.0.0.2 before" in stopped
    until(lambda: not alive(json.loads(record.read_text())["pid"]), 30)


def test_what_cannot_be_scaled_is_said(admin):
    assert "'one': write HOST=N" in admin.cluster("scale", "one", code=2)
    assert "three is none of the hosts one, two" in admin.cluster("scale", "three=1", code=2)


def test_without_a_scheduler_status_says_so_and_fails(admin):
    said = admin.cluster("status", code=1)

    assert said.count("\n") == 1
    assert f"127.0.0.1:{admin.port} does not answer" in said


@pytest.mark.slow
def test_a_cluster_starts_without_a_host_that_is_down_which_joins_later(admin):
    hosts = [{"name": name} for name in ("one", "two", "three")]
    down = [hosts[0], {"name": "two", "port": free_port()}, hosts[2]]
    admin.write(down, workers=0)
    hosts[0]["workers"] = down[0]["workers"] = hosts[1]["workers"] = down[1]["workers"] = 1
    admin.write(down, workers=0)

    said = admin.cluster("start", "--without", "two")
    status = admin.cluster("status")
    scaled = admin.cluster("scale", "one=1")
    refused = admin.cluster("scale", "two=1", code=1)
    pids = {record["pid"] for record in admin.records()}
    admin.write(hosts, workers=0)
    back = admin.cluster("status")
    joined = admin.cluster("start")
    left_alone = admin.cluster("start", "--without", "two", "--without", "three")

    assert "one: cpu started" in said
    assert "two" not in said
    assert "warning: two: cannot reach 127.0.0.1 port" in status
    assert "no worker is there; `deepcredit cluster start` when it is back" in status
    assert "three" not in status
    assert "one-cpu" in scaled
    assert "two: cannot reach 127.0.0.1 port" in refused
    assert "nothing was changed" in refused
    assert "warning: no worker of two is there" in back
    assert "two: cpu started" in joined
    assert pids < {record["pid"] for record in admin.records()}
    assert "two" not in left_alone.partition("\n\n")[0]
    assert admin.workers() == {"one-cpu": "there", "two-cpu": "there"}


def test_stop_leaves_a_process_alone_that_has_come_to_use_an_old_pid(admin):
    folder = admin.folder / "hosts" / "one"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        record = {
            "name": "cpu",
            "words": [],
            "token": "0" * 32,
            "boot": boot,
            "pid": innocent.pid,
            "started": 1,
        }
        (folder / "cpu.pid").write_text(json.dumps(record))

        admin.cluster("stop")

        assert alive(innocent.pid)
        assert admin.records() == []
