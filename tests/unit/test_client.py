"""What is left of a client that cannot connect, or whose scheduler is gone."""

import asyncio
import gc
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from distributed import Client
from distributed.utils import LoopRunner

from configs.errors import ClusterUnavailable
from launcher.cluster import dismissal
from launcher.cluster.certificates import self_signed
from launcher.cluster.client import open_client
from launcher.cluster.connection import connect
from launcher.cluster.look import look
from tests.ports import free_port
from tests.threads import cluster_in_threads
from tests.waiting import until


def _left():
    gc.collect()
    # By type: some objects of libraries warn when they are asked for their class.
    clients = [each for each in gc.get_objects() if issubclass(type(each), Client)]
    return clients, threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def nobody():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def mute():
    """Where a port is open and nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("certificates", [None, self_signed(datetime.now(UTC) + timedelta(days=1))])
@pytest.mark.parametrize("where", ["nobody", "mute"])
def test_nothing_is_left_of_a_client_that_cannot_connect(monkeypatch, request, where, certificates):
    monkeypatch.setattr(dismissal, "_PATIENCE_SECONDS", 0.3)
    address = f"{'tls' if certificates else 'tcp'}://{request.getfixturevalue(where)}"
    before = _left()

    for _ in range(3):
        with pytest.raises(ClusterUnavailable, match="does not answer any more"):
            dismissal.announce_end(address, certificates)

    assert _left() == before


@pytest.fixture
def cluster():
    with cluster_in_threads() as cluster:
        yield cluster


def test_nothing_is_left_of_a_client_that_has_given_up_its_scheduler(cluster):
    threads = set(threading.enumerate())
    client = open_client(cluster.scheduler_address, None, 2)
    assert client.status == "running"

    cluster.close()
    until(lambda: client.status == "closed")
    client.close()

    assert set(threading.enumerate()) <= threads


def _silence(cluster, question):
    """Let its scheduler answer this question no more, but for the greeting of `connect`."""
    answer = cluster.scheduler.handlers[question]

    async def greet(**asked):
        if asked.get("n_workers", -1) == -1:
            await asyncio.sleep(60)
        return answer(**asked)

    cluster.scheduler.handlers[question] = greet


@pytest.mark.parametrize("question", ["identity", "run_function"])
def test_a_scheduler_that_greets_and_then_hangs_is_not_waited_for(question):
    with cluster_in_threads(1) as cluster:
        _silence(cluster, question)
        with pytest.raises(ClusterUnavailable, match=r"does not answer.*, yet listens: it hangs"):
            connect(cluster.scheduler_address, patience=0.5)


def test_a_scheduler_that_hangs_is_not_told_that_its_workers_are_about_to_end(cluster, monkeypatch):
    monkeypatch.setattr(dismissal, "_TELL_SECONDS", 0.2)
    _silence(cluster, "run_function")

    with pytest.raises(ClusterUnavailable, match="does not answer any more: timed out"):
        dismissal.announce_end(cluster.scheduler_address, None)


def test_a_timer_that_gives_no_reason_is_given_one(monkeypatch):
    def late(*_):
        raise TimeoutError  # as asyncio's

    monkeypatch.setattr(dismissal, "open_client", late)

    with pytest.raises(ClusterUnavailable, match=r"tcp://h:1 does not answer any more: timed out$"):
        dismissal.announce_end("tcp://h:1", None)


def test_all_workers_are_seen_however_many_there_are():
    """Dask itself would tell of five."""
    with cluster_in_threads(6) as many:
        address = many.scheduler_address
        with closing(connect(address, patience=60)) as executor:
            assert executor.workers == 6
        assert len(look(address, None).workers) == 6


def test_the_garbage_collector_waits_for_no_client(cluster):
    client = open_client(cluster.scheduler_address, None, 5)
    client.close()
    with LoopRunner._lock:  # as it may be held by whatever runs when the collector comes by
        thread = threading.Thread(target=client.__del__, daemon=True)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
