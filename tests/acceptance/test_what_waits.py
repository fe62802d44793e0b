"""What operators are told of a batch that no launcher takes, and what they do about it."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.settings import Settings
from launcher.cli import execute
from launcher.host.machine import memory_mb
from tests.runs import Runs
from tests.waiting import until

QUICK = {"lease_seconds": 120, "poll_seconds": 0.1, "grace_seconds": 60}

Said = Callable[..., str]


@pytest.fixture
def runs(database_settings: Settings, tmp_path: Path) -> Iterator[Runs]:
    runs = Runs(database_settings.model_copy(update=QUICK), tmp_path)
    yield runs
    runs.engine.dispose()


@pytest.fixture
def said(runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command prints, in one line."""
    for name in os.environ:
        if name.startswith("DEEPCREDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(runs.folder)
    monkeypatch.setenv("DEEPCREDIT_DATABASE_URL", runs.settings.database_url)
    if password := runs.settings.database_password:
        monkeypatch.setenv("DEEPCREDIT_DATABASE_PASSWORD", password.get_secret_value())

    def said(*words: str) -> str:
        capsys.readouterr()
        execute(words)
        return " ".join(capsys.readouterr().out.split())

    return said


def waits_for(runs: Runs, batch_id: int) -> str:
    query = "SELECT waits_for FROM v_batch WHERE batch_id = :n"
    return str(runs.value(query, n=batch_id))


def ended(runs: Runs, batch_id: int) -> bool:
    return bool(runs.row(batch_id).state == "C")


def test_a_batch_that_needs_more_memory_than_any_launcher_has(runs: Runs, said: Said) -> None:
    big, most = runs.add(need_mem_mb=10**9), memory_mb()
    asked = f"a launcher that serves queue default and has {10**9} MB of memory"
    with runs.launcher("succeed"):
        until(lambda: waits_for(runs, big) == f"{asked} (the most is {most} MB)")

        assert f", {most} MB, last seen " in said("doctor")
        assert f"batch {big} waits: no launcher for it has {10**9} MB of memory" in said("doctor")
        (change,) = re.findall("or ask for less: `(UPDATE .*?)`", said("doctor"))
        runs.sql(change.replace("...", "1"))
        until(lambda: ended(runs, big))


def test_a_batch_for_a_launcher_that_stops(runs: Runs, said: Said) -> None:
    running, waiting = runs.add(), runs.add()
    why = "a launcher that serves queue default (none takes batches now; L: it is stopping)"
    with runs.launcher("hang") as launcher:
        runs.pid("L")
        assert waits_for(runs, waiting) == "a free server"
        launcher.terminate()
        until(lambda: waits_for(runs, waiting) == why)

        assert runs.row(running).state == "U"
        assert "takes none" in said("status", "--once")
        start = "no launcher for it takes batches now (L: it is stopping); start one with"
        assert f"batch {waiting} waits: {start} `deepcredit launcher SERVER_ID`" in said("doctor")
        with runs.launcher("succeed", "M"):
            until(lambda: ended(runs, waiting))


def test_a_batch_for_a_launcher_whose_cluster_is_away(runs: Runs, said: Said) -> None:
    # At the port of runs.NOWHERE there is none.
    waiting = runs.add()
    away = "the Dask cluster cannot be used"
    with runs.launcher("needs-cluster"):
        until(lambda: f"(none takes batches now; L: {away})" in waits_for(runs, waiting))

        assert f"L takes no batches: {away}" in said("status", "--once")
        remedy = "`deepcredit doctor` examines it"
        words = said("doctor")
        assert f"batch {waiting} waits: no launcher for it takes batches now (L: {away})" in words
        assert f"takes no batches now: {away}; {remedy}" in words
        with runs.launcher("succeed", "M"):
            until(lambda: ended(runs, waiting))
    assert runs.row(waiting).attempt == 1
