"""Clusters over SSH: one private server that stands for two hosts."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.cluster import certificates
from launcher.cluster.connection import connect
from launcher.service.embedded import ExternalCluster
from tests import tasks
from tests.bank import ROOT, environment
from tests.sshd import HOST, SshdMissing, free_port, make_key, running_sshd, trust
from tests.waiting import alive, until


class Desk:
    """An administrator with a deepcredit.toml of two hosts."""

    def __init__(self, folder, sshd):
        self.folder, self.sshd = folder, sshd
        self.port, self.dashboard = free_port(), free_port()
        self.env = environment(folder)
        self.secrets = folder / "worker.env"
        self.secrets.write_text("# of the host\nDEEPCREDIT_SFTP_PASSWORD='of the host'\n")
        self.secrets.chmod(0o600)
        self.write()

    def write(self, hosts=None, **more):
        hosts = hosts or [{"name": "one", "tags": ["first"]}, {"name": "two"}]
        shared = {
            "user": self.sshd.user,
            "key_file": str(self.sshd.key_file),
            "known_hosts": str(self.sshd.known_hosts),
            "port": self.sshd.port,
            "python": sys.executable,
            "folder": str(self.folder / "hosts"),
            "env_file": str(self.secrets),
            "workers": 1,
            "scheduler_port": self.port,
            "dashboard_port": self.dashboard,
            "start_seconds": 90,
            **more,
        }
        lines = ["[cluster]", *(f"{k} = {json.dumps(v)}" for k, v in shared.items())]
        for host in hosts:
            table = {"address": "127.0.0.1", **host}
            lines += ["[[cluster.hosts]]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
        (self.folder / "deepcredit.toml").write_text("\n".join(lines))

    def deepcredit(self, *words, code=0):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "launcher", "cluster", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def workers(self):
        shown, _ = json.JSONDecoder().raw_decode(self.deepcredit("status", "--format", "json"))
        return {each["worker"]: each["state"] for each in shown}

    def records(self):
        files = sorted((self.folder / "hosts").glob("*/*.pid"))
        return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    try:
        with running_sshd(
            tmp_path_factory.mktemp("sshd"),
            options={"SetEnv": f"PYTHONPATH={ROOT}", "ListenAddress": f"{HOST}\nListenAddress ::1"},
        ) as server:
            yield server
    except SshdMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def desk(tmp_path, sshd):
    desk = Desk(tmp_path, sshd)
    yield desk
    if desk.records():
        desk.write()
        desk.deepcredit("stop")


def test_a_cluster_is_started_shown_used_and_ended(desk):
    made = desk.folder / "tls"
    assert str(made) in desk.deepcredit("certificates", str(made))
    desk.write(certificates=str(made))

    started = desk.deepcredit("start")
    pids = [record["pid"] for record in desk.records()]
    again = desk.deepcredit("start")
    shown = json.loads(desk.deepcredit("status", "--format", "json"))
    address = f"tls://127.0.0.1:{desk.port}"
    certificates = {n: (made / f"{n}.pem").read_text() for n in ("ca", "cert", "key")}
    with closing(connect(address, certificates, patience=30)) as executor:
        [told] = executor.run(tasks.surroundings, [0])
        doubled = sorted(done.value for done in executor.run(tasks.double, range(4)))

    assert "one: scheduler started" in started
    assert "two: cpu started" in started
    assert f"scheduler  {address}\ndashboard  http://127.0.0.1:" in started
    assert "two: cpu already runs" in again
    assert [record["pid"] for record in desk.records()] == pids
    assert [(each["worker"], each["threads"], each["tags"]) for each in shown] == [
        ("one-cpu", 1, "first"),
        ("two-cpu", 1, None),
    ]
    assert all(each["memory_limit_mb"] > each["memory_mb"] > 0 for each in shown)
    assert doubled == [0, 2, 4, 6]
    assert told.value["OMP_NUM_THREADS"] == "1"
    assert told.value["DEEPCREDIT_SFTP_PASSWORD"] == "of the host"
    _no_secret_on_command_lines(pids, b"of the host")

    assert "two: cpu stopped" in desk.deepcredit("stop")
    until(lambda: not any(map(alive, pids)))
    assert desk.records() == []
    assert "nothing runs" in desk.deepcredit("stop")


def test_workers_come_and_leave_while_tasks_run(desk):
    noted = [str(desk.folder / name) for name in "ab"]
    desk.deepcredit("start")
    too_many = f"two={os.cpu_count()}"  # with that of `one`, the same machine
    assert "one, two: workers times threads are" in desk.deepcredit("scale", too_many, code=2)
    with (
        closing(connect(f"tcp://127.0.0.1:{desk.port}", patience=30)) as executor,
        ThreadPoolExecutor(1) as pool,
    ):
        done = pool.submit(lambda: list(executor.run(tasks.note_for_long, noted)))
        until(lambda: all(Path(name).exists() for name in noted), 30)
        said = desk.deepcredit("scale", "one=2", "two=0")
        values = {each.value for each in done.result()}

    assert "two: two-cpu leaves after what it runs" in said
    assert "one: cpu1 started" in said
    assert len(values) == 2
    assert {Path(name).read_text() for name in noted} == {"x"}  # nothing was done twice
    until(lambda: desk.workers() == {"one-cpu": "there", "one-cpu1": "there"}, 20)
    assert "warning: no worker of two is there" in desk.deepcredit("status")
    assert "one: one-cpu" in desk.deepcredit("scale", "one=1")
    until(lambda: len(desk.workers()) == 1, 20)
    assert "two: cpu1 started" in desk.deepcredit("scale", "two=1")
    there = desk.workers()
    assert len(there) == 2
    desk.deepcredit("start")
    assert desk.workers() == there
    desk.deepcredit("stop")
    assert not list((desk.folder / "hosts").glob("*/wanted"))


@pytest.mark.parametrize("command", ["start", "stop"])
def test_workers_of_a_host_that_is_no_longer_configured_leave_for_good(desk, command):
    desk.deepcredit("start")
    [left] = [record["pid"] for record in desk.records() if "two-cpu" in record["words"]]
    desk.write([{"name": "one", "tags": ["first"]}])

    said = desk.deepcredit(command)

    assert "two-cpu leaves after what it runs: its host is not in `hosts` any more" in said
    assert "one-cpu" not in said.partition("\n\n")[0]
    until(lambda: not alive(left), 30)
    if command == "start":
        assert desk.workers() == {"one-cpu": "there"}


def test_a_cluster_whose_certificate_has_ended_can_be_stopped(desk):
    desk.deepcredit("start")
    folder = desk.folder / "tls"
    folder.mkdir(mode=0o700)
    for name, text in certificates.self_signed(datetime.now(UTC)).items():
        (folder / certificates.FILES[name]).write_text(text)
        (folder / certificates.FILES[name]).chmod(0o600)
    desk.write(certificates=str(folder))

    assert "the certificate ended on" in desk.deepcredit("start", code=2)
    said = desk.deepcredit("stop")
    assert "two: cpu stopped" in said
    assert "hosts that are no longer configured were not told to leave" in said
    assert desk.records() == []
    assert "not told" not in desk.deepcredit("stop")


@pytest.mark.parametrize(
    ("variable", "why"),
    [
        (
            "DASK_DISTRIBUTED__WORKER__PRELOAD=no_such_library",
            "ModuleNotFoundError: No module named 'no_such_library' | Runtime",
        ),
        (
            "DEEPCREDIT_CACHE_DIR=/dev/null/cache",
            "error: cache_dir: this user may not work in /dev/null/cache",
        ),
    ],
)
def test_why_a_worker_died_at_its_start_is_said_with_the_place_of_its_log(desk, variable, why):
    log = desk.folder / "hosts" / "two" / "logs" / "cpu.log"
    log.parent.mkdir(parents=True)
    log.write_text("Traceback (most recent call last):\nFormerError: long ago\n")
    secrets = desk.folder / "two.env"
    secrets.write_text(f"{variable}\n")
    secrets.chmod(0o600)
    desk.write([{"name": "one"}, {"name": "two", "env_file": str(secrets)}])

    said = desk.deepcredit("start", code=1)

    assert f"two: cpu died: {why}" in said
    assert f"; its log is {log} there" in said
    assert "FormerError" not in said


def test_what_cannot_be_scaled_is_said(desk):
    assert "'one': write HOST=N" in desk.deepcredit("scale", "one", code=2)
    assert "three is none of the hosts one, two" in desk.deepcredit("scale", "three=1", code=2)


def test_without_a_scheduler_status_says_so_and_fails(desk):
    said = desk.deepcredit("status", code=1)

    assert said.count("\n") == 1
    assert f"127.0.0.1:{desk.port} does not answer" in said


def test_a_host_with_another_key_is_refused_and_nothing_is_started(desk):
    other = make_key(desk.folder / "other_key").with_suffix(".pub")
    known = trust(desk.folder / "known", desk.sshd.port, other)
    desk.write(known_hosts=str(known))

    said = desk.deepcredit("start", code=1)

    assert "one: the host key of 127.0.0.1" in said
    assert desk.records() == []


def test_a_host_that_cannot_be_reached_is_named_and_nothing_is_started(desk):
    desk.write([{"name": "one"}, {"name": "away", "port": free_port()}])

    said = desk.deepcredit("start", code=1)

    assert "away: cannot reach 127.0.0.1" in said
    assert "nothing was started; `deepcredit cluster start --without away` starts the oth" in said
    assert "one:" not in said
    assert desk.records() == []


def test_a_cluster_starts_without_a_host_that_is_down_which_joins_later(desk):
    hosts = [{"name": name} for name in ("one", "two", "three")]
    down = [hosts[0], {"name": "two", "port": free_port()}, hosts[2]]
    desk.write(down, workers=0)
    hosts[0]["workers"] = down[0]["workers"] = hosts[1]["workers"] = down[1]["workers"] = 1
    desk.write(down, workers=0)

    said = desk.deepcredit("start", "--without", "two")
    status = desk.deepcredit("status")
    scaled = desk.deepcredit("scale", "one=1")
    refused = desk.deepcredit("scale", "two=1", code=1)
    pids = {record["pid"] for record in desk.records()}
    desk.write(hosts, workers=0)
    back = desk.deepcredit("status")
    joined = desk.deepcredit("start")
    left_alone = desk.deepcredit("start", "--without", "two", "--without", "three")

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
    assert pids < {record["pid"] for record in desk.records()}
    assert "two" not in left_alone.partition("\n\n")[0]
    assert desk.workers() == {"one-cpu": "there", "two-cpu": "there"}


def test_without_its_scheduler_s_host_a_cluster_is_not_started_and_what_to_do_is_said(desk):
    desk.write([{"name": "one", "port": free_port()}, {"name": "two"}])

    away = desk.deepcredit("start", code=1)
    without = desk.deepcredit("start", "--without", "one", code=2)

    for said in (away, without):
        assert "the scheduler is to run on one: if that stays away, `deepcredit cluster sto" in said
        assert "`scheduler_host`" in said
        assert "then `deepcredit cluster start --without one`" in said
    assert "three is none of" in desk.deepcredit("start", "--without", "three", code=2)
    desk.write([{"name": "one", "port": free_port()}, {"name": "two"}], scheduler_host="two")
    assert "two: scheduler started" in desk.deepcredit("start", "--without", "one")
    assert desk.workers() == {"two-cpu": "there"}


def test_workers_do_not_join_the_scheduler_of_somebody_else_at_our_port(desk):
    address = f"tcp://127.0.0.1:{desk.port}"
    words = [sys.executable, "-P", "-m", "launcher", "scheduler", address, "--", "--no-dashboard"]
    with subprocess.Popen(words, cwd=desk.folder, env=desk.env, stderr=subprocess.DEVNULL) as other:
        try:
            until(ExternalCluster(address).answers, 60)

            said = desk.deepcredit("start", code=1)

            assert f"one: cannot listen at {address}: Address already in use" in said
            assert desk.records() == []
            assert desk.workers() == {}
        finally:
            other.kill()


def test_new_certificates_wait_for_a_stop(desk):
    made = desk.folder / "tls"
    desk.write([{"name": "one", "workers": 0}], certificates=str(made))
    desk.deepcredit("certificates", str(made))
    desk.deepcredit("start")
    made.rename(desk.folder / "old")
    desk.deepcredit("certificates", str(made))

    said = desk.deepcredit("start", code=1)

    assert "one: scheduler runs with other settings or certificates" in said
    assert (desk.folder / "hosts/one/key.pem").read_text() == (
        desk.folder / "old/key.pem"
    ).read_text()
    desk.deepcredit("stop")
    desk.deepcredit("start")
    assert "warning" not in desk.deepcredit("status")  # of a host that is to have no workers


def test_hosts_may_have_ipv6_addresses_alone(desk):
    try:
        socket.create_connection(("::1", desk.sshd.port)).close()
    except OSError:
        pytest.skip("no IPv6 here")
    known = desk.folder / "known"
    known.write_text(desk.sshd.known_hosts.read_text().replace(HOST, "::1"))
    desk.write([{"name": "one", "address": "0::1"}], known_hosts=str(known))

    started = desk.deepcredit("start")
    with closing(connect(f"tcp://[::1]:{desk.port}", patience=30)) as executor:
        [done] = executor.run(tasks.double, [2])

    assert f"scheduler  tcp://[::1]:{desk.port}\ndashboard  http://localhost:" in started
    assert done.value == 4


def test_more_threads_than_cores_are_refused(desk):
    desk.write([{"name": "one"}, {"name": "two", "workers": 1 + (os.cpu_count() or 1)}])

    assert "one, two: workers times threads are" in desk.deepcredit("start", code=2)


def test_stop_leaves_a_process_alone_that_has_come_to_use_an_old_pid(desk):
    folder = desk.folder / "hosts" / "one"
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

        desk.deepcredit("stop")

        assert alive(innocent.pid)
        assert desk.records() == []


def _no_secret_on_command_lines(pids, secret):
    for pid in pids:
        assert secret not in Path(f"/proc/{pid}/cmdline").read_bytes()
