"""The short version of the campaign, and the proof that it can fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bank import environment
from tests.chaos.campaign import Campaign
from tests.chaos.hosts import CLOCKS, ZONES, skewed
from tests.chaos.plan import CONTROLS, Plan, Report
from tests.mariadb import DURABLE, running_mariadb
from tests.sshd import SshServer

CONTROLS_SHOW = {
    "clock": "its lease is longer than a lease",
    "id": "stale run was accepted",
    "state": "stale run was accepted",
}


def fought(folder: Path, sshd: SshServer, plan: Plan) -> Report:
    """On a database server of its own, which the campaign kills."""
    with running_mariadb(folder / "mariadb", DURABLE) as server:
        report = Campaign(plan, server, sshd, folder).run()
    print("\n".join(report.lines()))
    return report


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_run_twice(tmp_path: Path, sshd_server: SshServer) -> None:
    plan = Plan(batches=60, launchers=3, seed=7, uploads=0.15, limit_seconds=200)

    report = fought(tmp_path, sshd_server, plan)

    assert report.broken == []
    for fault in (
        "database killed and restarted",
        "database read-only for a while",
        "processes frozen past the lease",
        "uploads cut off",
        "with a wrong clock",
    ):
        assert report.done[fault] > 0, fault


@pytest.mark.slow
@pytest.mark.parametrize("guard", sorted(CONTROLS))
def test_a_weaker_guard_is_found_out(tmp_path: Path, sshd_server: SshServer, guard: str) -> None:
    plan = Plan(
        batches=40,
        launchers=3,
        seed=7,
        guard=guard,
        troubles=0,
        until_broken=True,
        **CONTROLS[guard],
    )

    broken = fought(tmp_path, sshd_server, plan).broken

    assert any(CONTROLS_SHOW[guard] in line for line in broken), broken


def test_the_hosts_of_a_campaign_are_wrong_about_the_time(tmp_path: Path) -> None:
    program = "import time; print(time.time() - time.monotonic(), -time.timezone)"
    told = {}
    for clock, zone in zip(CLOCKS, ZONES, strict=False):
        env = environment(tmp_path) | {"TZ": zone} | skewed(clock)
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
        )
        offset, east = map(float, done.stdout.split())
        told[clock] = offset, east / 3600

    assert told["+1h"][0] - told[None][0] == pytest.approx(3600, abs=5)
    assert told["-1h"][0] - told[None][0] == pytest.approx(-3600, abs=5)
    assert [east for _, east in told.values()] == [9, -5, 0]
