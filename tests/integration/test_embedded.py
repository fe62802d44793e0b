"""The process of an embedded cluster: its environment, and its end while it starts."""

import sys
import threading
import time

import pytest

from configs.errors import ClusterUnavailable
from configs.settings import OF_A_HOST, Settings
from launcher import embedded
from launcher.embedded import EmbeddedCluster
from tests.waiting import alive, until

TELLING = """
import json, os, sys
sys.stdin.readline()
print(json.dumps({"address": " ".join(sorted(os.environ)), "certificates": {}}), flush=True)
sys.stdin.read()
"""
SLOW = "import sys, time; sys.stdin.readline(); time.sleep(60)"


def test_a_cluster_that_still_starts_is_closed_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(embedded, "COMMAND", (sys.executable, "-c", SLOW))
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


def test_what_the_launcher_was_told_otherwise_does_not_reach_its_own_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(embedded, "COMMAND", (sys.executable, "-c", TELLING))
    for name in (*OF_A_HOST, "sftp_password"):
        monkeypatch.setenv(f"DEEPCREDIT_{name.upper()}", "other")
    cluster = EmbeddedCluster(Settings(cache_dir=tmp_path))

    there = cluster.scheduler().address.split()
    cluster.close()

    assert [name for name in there if name.startswith("DEEPCREDIT_")] == [
        "DEEPCREDIT_SFTP_PASSWORD"
    ]
