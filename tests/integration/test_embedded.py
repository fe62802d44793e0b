"""The process of an embedded cluster that is closed while it starts."""

import sys
import threading
import time

import pytest

from configs.errors import ClusterUnavailable
from configs.settings import Settings
from launcher import embedded
from launcher.embedded import EmbeddedCluster
from tests.waiting import alive, until

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
