"""A Dask cluster in threads of the test's own process."""

from distributed import LocalCluster


def cluster_in_threads(workers: int = 0) -> LocalCluster:
    """To be entered; workers have a thread each."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
    )
