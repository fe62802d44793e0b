"""The short version of the campaign, and the proof that it can fail."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bank import environment
from tests.chaos.campaign import Campaign
from tests.chaos.hosts import CLOCKS, ZONES, skewed
from tests.chaos.plan import CONTROLS, Plan, Report
from tests.mariadb import DURABLE, MariaDB, running_mariadb
from tests.sshd import SshServer

Fight = Callable[[Plan], Report]
CONTROLS_SHOW = {
    "clock": ("its lease is longer than a lease",),
    "id": ("stale run was accepted", "accepted finishes", "results of fences"),
    "state": ("stale run was accepted",),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """Of these campaigns alone, since they kill it."""
    with running_mariadb(tmp_path_factory.mktemp("chaos"), DURABLE) as server:
        yield server


@pytest.fixture
def fought(server: MariaDB, sshd_server: SshServer, tmp_path: Path) -> Fight:
    def fight(plan: Plan) -> Report:
        report = Campaign(plan, server, sshd_server, tmp_path).run()
        print("\n".join(report.lines()))
        return report

    return fight


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_run_twice(fought: Fight) -> None:
    plan = Plan(batches=32, claimable=2, launchers=3, seed=7, uploads=0.25, limit_seconds=200)

    report = fought(plan)

    assert report.broken == []
    for fault in (
        "database killed and restarted",
        "database read-only for a while",
        "processes frozen past the lease",
        "uploads cut off",
    ):
        assert report.done[fault] > 0, fault
    assert report.done["with a wrong clock"] > 0 or not skewed("+1h")


@pytest.mark.slow
@pytest.mark.parametrize("guard", sorted(CONTROLS))
def test_a_weaker_guard_is_found_out(fought: Fight, guard: str) -> None:
    plan = Plan(
        batches=400,  # it ends at the first violation
        launchers=4,
        seed=2,
        guard=guard,
        troubles=0,
        until_broken=True,
        **CONTROLS[guard],
    )

    broken = fought(plan).broken

    assert any(words in line for line in broken for words in CONTROLS_SHOW[guard]), broken


@pytest.mark.skipif(not skewed("+1h"), reason="libfaketime is not installed: `make servers`")
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
