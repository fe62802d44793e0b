"""Workers that are told to leave."""

import pytest

from configs.errors import ClusterUnavailable
from launcher.cluster import dismissal
from launcher.cluster.look import look
from launcher.host.keep import RETIRED
from tests.threads import cluster_in_threads
from tests.waiting import until


def _of_another_version(dask_worker):
    raise ModuleNotFoundError("No module named 'launcher.cluster.dismissal'")


@pytest.fixture
def address():
    with cluster_in_threads(1) as cluster:
        yield cluster.scheduler_address


def test_a_worker_that_cannot_do_what_it_is_told_is_named(monkeypatch, address):
    monkeypatch.setattr(dismissal, "retire", _of_another_version)
    with pytest.raises(ClusterUnavailable, match="told to leave"):
        dismissal.tell(address, None, look(address, None).workers)


def test_a_worker_that_somebody_else_has_started_stays(monkeypatch, address, tmp_path):
    [worker] = look(address, None).workers

    monkeypatch.delenv(RETIRED, raising=False)
    assert dismissal.tell(address, None, [worker]) == []
    assert look(address, None).workers[0].leaving is False
    monkeypatch.setenv(RETIRED, str(tmp_path / "retired"))
    assert dismissal.tell(address, None, [worker]) == [worker]
    until(lambda: not look(address, None).workers)
