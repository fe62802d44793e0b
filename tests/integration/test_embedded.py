"""The process of an embedded cluster: its environment, its end, and what it tells of it."""

import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from configs.errors import ClusterUnavailable
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
print(json.dumps({"address": address, "certificates": {}, "workers": 1, "cards": 0}), flush=True)
sys.stdin.read()
"""
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


def test_a_cluster_that_lives_for_years_is_spoken_to_all_the_while(tmp_path) -> None:
    """A certificate that ended would let nobody connect any more."""
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path, workers=1))
    try:
        there = cluster.scheduler()
        with closing(connect(there.address, there.certificates, remote=False)) as executor:
            doubled = [done.value for done in executor.run(tasks.double, [4])]
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


def test_what_the_launcher_was_told_otherwise_does_not_reach_its_own_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(clusters, "COMMAND", (sys.executable, "-c", TELLING))
    for name in (*OF_A_HOST, "sftp_password"):
        monkeypatch.setenv(f"DEEPCREDIT_{name.upper()}", "other")
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))

    there = cluster.scheduler().address.split()
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
                until(lambda: all(map(desk.trained, numbers)), 180)
                for number in numbers:
                    cancel(desk, number)
            finally:
                launcher.terminate()  # with nothing left to run it closes its cluster, and ends

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    said = [each for each in lines if each["event"] != "batch goes on"]  # after a minute
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


def cancel(desk, batch_id):
    desk.change(batch_id, cancel_requested_at=utc_now())
    until(lambda: desk.read(batch_id).state == "E")
