"""The process of an embedded cluster: its environment, its end, and what it tells of it."""

import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from configs.errors import ClusterAway, ClusterUnavailable
from configs.settings import OF_A_HOST, Settings
from launcher.cluster import certificates
from launcher.cluster.connection import connect
from launcher.service import clusters
from launcher.service.clusters import EmbeddedCluster
from storage.columns import utc_now
from tests import tasks
from tests.bank import environment
from tests.desk import applicants, open_desk
from tests.waiting import alive, until

TELLING = """
import json, os, sys
sys.stdin.readline()
address = " ".join(sorted(os.environ))
print("2026-11-27 03:50:34,1 - distributed - WARNING - of the cluster", file=sys.stderr)
print(json.dumps({"address": address, "certificates": {}, "workers": 1, "cards": 0}), flush=True)
sys.stdin.read()
"""
STUBBORN = TELLING + "import time; time.sleep(600)"
SLOW = "import sys, time; sys.stdin.readline(); time.sleep(60)"


def test_a_cluster_that_still_starts_is_closed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", SLOW))
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))
    raised = []

    def ask() -> None:
        try:
            cluster.scheduler()
        except ClusterUnavailable as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    process = until(lambda: cluster._process)
    began = time.monotonic()
    cluster.close()

    assert time.monotonic() - began < 5
    asking.join(5)
    assert len(raised) == 1
    assert not alive(process.pid)


def test_a_cluster_that_does_not_start_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", SLOW))
    monkeypatch.setattr(clusters, "_START_SECONDS", 0.5)
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))
    began = time.monotonic()
    with pytest.raises(ClusterAway, match="did not start"):
        cluster.scheduler()

    assert time.monotonic() - began < 30
    assert cluster._process is None


def test_a_cluster_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", STUBBORN))
    monkeypatch.setattr(clusters, "_CLOSE_SECONDS", 0.2)
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))
    cluster.scheduler()
    process = cluster._process
    closing_it = threading.Thread(target=cluster.close, daemon=True)
    closing_it.start()
    closing_it.join(20)

    assert not closing_it.is_alive()
    assert not alive(process.pid)


def test_a_cluster_that_lives_for_years_is_spoken_to_all_the_while(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that ended would let nobody connect any more."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(shared))
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path / "cache", workers=1))
    try:
        there = cluster.scheduler()
        assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700  # it is made before a batch
        with closing(connect(there.address, there.certificates, remote=False)) as executor:
            doubled = [done.value for done in executor.run(tasks.double, [4])]
            [path] = executor.run(tasks.imports_from, [0])
        # Where others could have made it before, they would say what is imported.
        assert not [folder for folder in path.value if Path(folder).is_relative_to(shared)]
    finally:
        cluster.close()

    assert doubled == [8]
    assert certificates.last_day(there.certificates) > datetime.now(UTC) + timedelta(days=36_500)


def test_fewer_workers_than_were_asked_for_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", TELLING))
    told = []
    for wanted in (0, 1, 2):
        cluster = EmbeddedCluster(Settings(cache_dir=tmp_path, workers=wanted))
        with capture_logs() as logs:
            cluster.scheduler()
        cluster.close()
        told.append([(log["wanted"], log["workers"]) for log in logs if "wanted" in log])

    assert told == [[], [], [(2, 1)]]


def test_neither_what_the_launcher_was_told_otherwise_nor_its_database_reaches_its_own_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", TELLING))
    of_the_database = ("database_url", "database_password", "database_password_file")
    for name in (*OF_A_HOST, *of_the_database, "sftp_password"):
        monkeypatch.setenv(f"DEEPCREDIT_{name.upper()}", "other")
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))

    with capture_logs() as said:
        there = cluster.scheduler().address.split()
        words = until(lambda: [each for each in said if each["event"] == "cluster says"])
    assert words[0]["line"].endswith("of the cluster")
    assert words[0]["log_level"] == "warning"
    # Nobody waits any longer to end one that does not start.
    until(lambda: not any(isinstance(each, threading.Timer) for each in threading.enumerate()), 10)
    cluster.close()

    assert [name for name in there if name.startswith("DEEPCREDIT_")] == [
        "DEEPCREDIT_SFTP_PASSWORD"
    ]


@pytest.mark.slow
def test_batches_that_are_cancelled_while_they_train_leave_a_log_without_tracebacks(
    sqlite_settings: Settings, tmp_path
) -> None:
    """Two at once: the cluster goes on after the first, and is closed at work after the second."""
    path = tmp_path / "logs" / "L.log"
    with open_desk(sqlite_settings, tmp_path) as desk:
        desk.load(applicants(2_000))
        grid = {"min_samples_leaf": list(range(1, 201))}  # takes minutes
        desk.models((1, "ML-RF", json.dumps({"n_estimators": 300, "grid": grid})))
        numbers = [desk.add(), desk.add()]
        settings = {"LEASE_SECONDS": "4", "WORKERS": "2"}
        env = environment(tmp_path, DATABASE_URL=sqlite_settings.database_url, **settings)
        command = [sys.executable, "-P", "-m", "launcher", "launcher", "L", "--slots", "2"]
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as launcher:
            try:
                until(lambda: all(map(desk.trained, numbers)), 200)
                for ended, number in enumerate(numbers, start=1):
                    desk.change(number, cancel_requested_at=utc_now())
                    until(lambda ended=ended: path.read_text().count("batch ended") == ended)
            finally:
                launcher.terminate()  # with nothing left to run it closes its cluster, and ends

    said = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = [each for each in said if each["event"] != "batch goes on"]  # once a minute
    assert [(each["level"], each["event"]) for each in said] == [
        ("info", "model store"),
        ("info", "launcher started"),
        ("info", "batch started"),
        ("info", "batch started"),
        ("info", "embedded cluster started"),
        ("warning", "batch ended"),
        ("warning", "batch ended"),
        ("info", "launcher stopping"),
        ("info", "launcher stopped"),
    ]
    assert said[4]["workers"] == 2
    assert [each["error_class"] for each in said[5:7]] == ["Cancelled"] * 2
