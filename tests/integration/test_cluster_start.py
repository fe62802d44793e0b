"""Clusters over SSH: what is started, or why it is not; keys and certificates."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.cluster import Cluster
from launcher.cluster import certificates
from launcher.cluster.connection import connect
from launcher.cluster.ssh import command
from launcher.service.clusters import ExternalCluster
from tests import tasks
from tests.ports import free_port
from tests.sshd import HOST, make_key, trust
from tests.waiting import alive, until


@pytest.mark.slow
def test_a_cluster_is_started_shown_used_and_ended(admin):
    made = admin.folder / "tls"
    assert str(made) in admin.cluster("certificates", str(made))
    admin.write(certificates=str(made))

    started = admin.cluster("start")
    pids = [record["pid"] for record in admin.records()]
    again = admin.cluster("start")
    shown = json.loads(admin.cluster("status", "--format", "json"))
    address = f"tls://127.0.0.1:{admin.port}"
    certificates = {n: (made / f"{n}.pem").read_text() for n in ("ca", "cert", "key")}
    with closing(connect(address, certificates, patience=30)) as executor:
        [told] = executor.run(tasks.surroundings, [0])
        [listens] = executor.run(tasks.listens_at, [0])
        doubled = sorted(done.value for done in executor.run(tasks.double, range(4)))

    assert "one: scheduler started" in started
    assert "two: cpu started" in started
    assert f"scheduler  {address}\ndashboard  http://127.0.0.1:" in started
    assert "two: cpu already runs" in again
    assert [record["pid"] for record in admin.records()] == pids
    assert [(each["worker"], each["threads"], each["tags"]) for each in shown] == [
        ("one-cpu", 1, "first"),
        ("two-cpu", 1, None),
    ]
    assert all(each["memory_limit_mb"] > each["memory_mb"] > 0 for each in shown)
    assert doubled == [0, 2, 4, 6]
    assert told.value["OMP_NUM_THREADS"] == "1"
    assert told.value["DEEPCREDIT_SFTP_PASSWORD"] == "of the host"
    _no_secret_on_command_lines(pids, b"of the host")
    assert listens.value == {HOST}

    assert "two: cpu stopped" in admin.cluster("stop")
    until(lambda: not any(map(alive, pids)))
    told = _when(admin.log("one", "scheduler"), "Received signal SIGTERM")
    assert "TLS handshake failed" not in admin.log("one", "scheduler").read_text()
    for host in ("one", "two"):  # else a worker and its nanny may wait for each other
        assert _when(admin.log(host, "cpu"), "End worker") < told
    assert admin.records() == []
    assert "nothing runs" in admin.cluster("stop")


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
def test_why_a_worker_died_at_its_start_is_said_with_the_place_of_its_log(admin, variable, why):
    log = admin.folder / "hosts" / "two" / "logs" / "cpu.log"
    log.parent.mkdir(parents=True)
    log.write_text("Traceback (most recent call last):\nFormerError: long ago\n")
    secrets = admin.folder / "two.env"
    secrets.write_text(f"{variable}\n")
    secrets.chmod(0o600)
    admin.write([{"name": "one", "workers": 0}, {"name": "two", "env_file": str(secrets)}])

    said = admin.cluster("start", code=1)

    assert f"two: cpu died: {why}" in said
    assert f"; its log is {log} there" in said
    assert "FormerError" not in said


def test_a_host_with_another_key_is_refused_and_nothing_is_started(admin):
    other = make_key(admin.folder / "other_key").with_suffix(".pub")
    known = trust(admin.folder / "known", admin.sshd.port, other)
    admin.write(known_hosts=str(known))

    said = admin.cluster("start", code=1)

    assert "one, two: the host key of 127.0.0.1" in said
    assert "nothing was started; `deepcredit cluster start` again once that is mended" in said
    assert admin.records() == []


def test_no_ssh_config_lets_another_key_pass(tmp_path, cluster_sshd):
    lax = tmp_path / "ssh_config"
    lax.write_text(
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nVerifyHostKeyDNS yes\n"
        "NoHostAuthenticationForLocalhost yes\nKnownHostsCommand /bin/echo\nForwardAgent yes\n"
        "IgnoreUnknown UseKeychain\nUseKeychain yes\n"  # as many have it for other systems
    )
    host = Cluster.model_validate({"hosts": ["localhost"]}).scheduler
    words = command(host, tmp_path / "known")
    asked = ["ssh", "-F", str(lax), "-G", *words[1:]]

    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout

    options = dict(line.partition(" ")[::2] for line in told.splitlines())
    assert options["stricthostkeychecking"] in ("true", "yes")
    assert options["userknownhostsfile"] == str(tmp_path / "known")
    assert options["globalknownhostsfile"] == "/dev/null"
    for name in ("verifyhostkeydns", "nohostauthenticationforlocalhost", "forwardagent"):
        assert options[name] in ("false", "no")
    assert options.get("knownhostscommand", "none") == "none"


def test_a_host_that_cannot_be_reached_is_named_and_nothing_is_started(admin):
    admin.write([{"name": "one"}, {"name": "away", "port": free_port()}])

    said = admin.cluster("start", code=1)

    assert "away: cannot reach 127.0.0.1" in said
    assert "nothing was started; `deepcredit cluster start --without away` starts the oth" in said
    assert "one:" not in said
    assert admin.records() == []


@pytest.mark.slow
def test_without_its_scheduler_s_host_a_cluster_is_not_started_and_what_to_do_is_said(admin):
    admin.write([{"name": "one", "port": free_port()}, {"name": "two"}])

    away = admin.cluster("start", code=1)
    without = admin.cluster("start", "--without", "one", code=2)

    for said in (away, without):
        assert "the scheduler is to run on one: if that stays away, `deepcredit cluster sto" in said
        assert "`scheduler_host`" in said
        assert "then `deepcredit cluster start --without one`" in said
    assert "three is none of" in admin.cluster("start", "--without", "three", code=2)
    admin.write([{"name": "one", "port": free_port()}, {"name": "two"}], scheduler_host="two")
    assert "two: scheduler started" in admin.cluster("start", "--without", "one")
    assert admin.workers() == {"two-cpu": "there"}


def test_workers_do_not_join_the_scheduler_of_somebody_else_at_our_port(admin):
    address = f"tcp://127.0.0.1:{admin.port}"
    words = [sys.executable, "-P", "-m", "launcher", "scheduler", address, "--", "--no-dashboard"]
    with subprocess.Popen(
        words, cwd=admin.folder, env=admin.env, stderr=subprocess.DEVNULL
    ) as other:
        try:
            until(ExternalCluster(address).answers, 60)

            said = admin.cluster("start", code=1)

            assert f"one: cannot listen at {address}: Address already in use" in said
            assert admin.records() == []
            assert admin.workers() == {}
        finally:
            other.kill()


@pytest.mark.slow
def test_new_certificates_wait_for_a_stop(admin):
    made = admin.folder / "tls"
    admin.write([{"name": "one", "workers": 0}], certificates=str(made))
    admin.cluster("certificates", str(made))
    with socket.create_server((HOST, admin.dashboard)):
        assert f"dashboard_port {admin.dashboard} was not free, so" in admin.cluster("start")
    made.rename(admin.folder / "old")
    admin.cluster("certificates", str(made))

    said = admin.cluster("start", code=1)

    assert "one: scheduler runs with other settings or certificates" in said
    assert "if that is another cluster, give this one a `folder` of its own" in said
    assert (admin.folder / "hosts/one/key.pem").read_text() == (
        admin.folder / "old/key.pem"
    ).read_text()
    admin.cluster("stop")
    admin.cluster("start")
    assert "warning" not in admin.cluster("status")  # of a host that is to have no workers


@pytest.mark.slow
def test_a_cluster_whose_certificate_has_ended_can_be_stopped(admin):
    hosts = [{"name": "one", "workers": 0}, {"name": "two"}]
    admin.write(hosts)
    admin.cluster("start")
    folder = admin.folder / "tls"
    folder.mkdir(mode=0o700)
    for name, text in certificates.self_signed(datetime.now(UTC)).items():
        (folder / certificates.FILES[name]).write_text(text)
        (folder / certificates.FILES[name]).chmod(0o600)
    admin.write(hosts, certificates=str(folder))

    assert "the certificate ended on" in admin.cluster("start", code=2)
    said = admin.cluster("stop")
    assert "two: cpu stopped" in said
    assert "hosts that are no longer configured were not told to leave" in said
    assert admin.records() == []
    assert "not told" not in admin.cluster("stop")


def test_hosts_may_have_ipv6_addresses_alone(admin):
    try:
        socket.create_connection(("::1", admin.sshd.port)).close()
    except OSError:
        pytest.skip("no IPv6 here")
    known = admin.folder / "known"
    known.write_text(admin.sshd.known_hosts.read_text().replace(HOST, "::1"))
    admin.write([{"name": "one", "address": "0::1"}], known_hosts=str(known))

    started = admin.cluster("start")
    with closing(connect(f"tcp://[::1]:{admin.port}", patience=30)) as executor:
        [done] = executor.run(tasks.double, [2])

    assert f"scheduler  tcp://[::1]:{admin.port}\ndashboard  http://localhost:" in started
    assert done.value == 4


def test_more_threads_than_cores_are_refused(admin):
    admin.write([{"name": "one"}, {"name": "two", "workers": 1 + (os.cpu_count() or 1)}])

    assert "one, two: workers times threads are" in admin.cluster("start", code=2)


def _when(log, what):
    """The time of the last line that says so; as text it sorts."""
    return [line for line in log.read_text().splitlines() if what in line][-1].partition(" - ")[0]


def _no_secret_on_command_lines(pids, secret):
    for pid in pids:
        assert secret not in Path(f"/proc/{pid}/cmdline").read_bytes()
