"""The short version of the campaign, and the proof that it can fail."""

from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, Plan, Report
from tests.mariadb import running_mariadb


def fought(folder: Path, plan: Plan) -> Report:
    """On a server of its own, which the campaign kills."""
    with running_mariadb(folder / "mariadb") as server:
        report = Campaign(plan, server, folder).run()
    print("\n".join(report.lines()))
    return report


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_run_twice(tmp_path: Path) -> None:
    plan = Plan(batches=60, launchers=3, seed=7, limit_seconds=200)

    report = fought(tmp_path, plan)

    assert report.broken == []
    assert report.done["database killed and restarted"] == 1
    assert report.done["processes frozen past the lease"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("guard", ["state", "id"])
def test_a_weaker_guard_is_found_out(tmp_path: Path, guard: str) -> None:
    plan = Plan(
        batches=30,
        launchers=3,
        seed=7,
        guard=guard,
        lingering=0.8,
        longest=3,
        restarts=0,
        faults_an_attempt=0.6,
        limit_seconds=40,
    )

    assert fought(tmp_path, plan).broken
