"""What control groups leave of a machine, and which processes live; cards are in test_crew."""

import subprocess
import sys

import pytest

from launcher.cluster import local
from launcher.host import machine
from launcher.host.processes import is_dead
from tests.waiting import until


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Makes our control group, and the one that it is part of; returns both."""
    inner = tmp_path / "system.slice" / "worker.service"
    inner.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/system.slice/worker.service\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    return inner, inner.parent


@pytest.mark.parametrize(
    ("inner", "outer", "cores"),
    [
        ("max 100000", "max 100000", 8),
        ("300000 100000", "max 100000", 3),
        ("300000 100000", "200000 100000", 2),
        ("50000 100000", "max 100000", 1),
        ("1600000 100000", "max 100000", 8),
    ],
)
def test_cores_are_what_affinity_and_quotas_leave(group, inner, outer, cores):
    for folder, text in zip(group, (inner, outer), strict=True):
        (folder / "cpu.max").write_text(f"{text}\n")

    assert machine.cores() == cores


@pytest.mark.parametrize(("quota", "workers"), [("max 100000", 8), ("300000 100000", 3)])
def test_an_embedded_cluster_has_a_worker_a_core_that_is_left(group, monkeypatch, quota, workers):
    monkeypatch.setattr(local, "memory_mb", lambda: 64_000)
    monkeypatch.setattr(local, "usable_cards", lambda: ())
    (group[0] / "cpu.max").write_text(f"{quota}\n")

    assert local.crew_here(0).workers == workers


def test_memory_is_what_limits_leave(group):
    for folder, text in zip(group, ("max", str(3 * 2**20)), strict=True):
        (folder / "memory.max").write_text(f"{text}\n")

    assert machine.memory_mb() == 3


def test_without_control_groups_everything_is_ours(group, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_OWN_CGROUP", tmp_path / "none")

    assert machine.cores() == 8
    assert machine.memory_mb() > 3


def test_a_process_is_dead_once_it_has_ended_whether_it_was_waited_for_or_not():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not is_dead(process.pid)
        process.kill()
        until(lambda: is_dead(process.pid))
        assert process.returncode is None

    assert is_dead(process.pid)
    assert not is_dead(1)  # another user's, unless these tests are run by root


def test_who_is_dead_here_may_live_where_processes_have_other_numbers():
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    here = machine.this_host()
    held = here.identity.replace(f":{here.pid}:", f":{dead.pid}:") + ":0"
    assert here.outlived(held)

    asked = f"from launcher.host import machine; print(machine.this_host().outlived({held!r}))"
    walls = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    ran = subprocess.run(
        [*walls, sys.executable, "-c", asked], check=False, capture_output=True, text=True
    )
    if ran.stderr.startswith("unshare:"):
        pytest.skip(ran.stderr)
    assert ran.stdout == "False\n", ran.stderr


def test_a_machine_that_does_not_tell_its_boot_is_no_other(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_NUMBERED_TOGETHER", tmp_path / "none")
    here = machine.this_host()

    assert not here.outlived(f"{here.identity}:0")


def test_a_neighbour_of_an_older_version_which_names_no_processes_numbered_together_is_known():
    here = machine.this_host()
    older = here.identity.rpartition(".")[0].replace(f":{here.pid}:", ":1:")

    assert here.is_neighbour(older, 1)
    assert not here.is_neighbour(f"{older}x", 1)
    assert not here.is_neighbour(here.identity, here.pid)
