"""Workers that are told to leave."""

import pytest
from distributed import LocalCluster

from configs.errors import ClusterUnavailable
from launcher.cluster import leaving
from launcher.cluster.look import look


def _of_another_version(dask_worker):
    raise ModuleNotFoundError("No module named 'launcher.cluster.leaving'")


def test_a_worker_that_cannot_do_what_it_is_told_is_named(monkeypatch):
    monkeypatch.setattr(leaving, "retire", _of_another_version)
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    ) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(ClusterUnavailable, match="told to leave"):
            leaving.tell(address, None, look(address, None).workers)
