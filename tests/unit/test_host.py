"""What control groups leave of a machine; cards are in test_crew."""

import pytest

from launcher.cluster import local
from launcher.host import machine


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
