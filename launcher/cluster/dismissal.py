"""Telling workers that run elsewhere to leave for good, each after what it runs; and telling a
scheduler that all its workers are about to be ended.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

from distributed import Client, Scheduler
from distributed import Worker as DaskWorker

from configs.cluster import Cluster
from configs.errors import ClusterUnavailable
from launcher.cluster.client import open_client
from launcher.cluster.facts import Facts
from launcher.cluster.leaving import leave
from launcher.cluster.look import Picture, Worker
from launcher.cluster.names import host_of
from launcher.host.keep import RETIRED

_PATIENCE_SECONDS = 30.0
_TELL_SECONDS = 15.0


def of_former_hosts(cluster: Cluster, picture: Picture) -> list[Worker]:
    """Workers with names as of `start`, on hosts which are no longer configured. They cannot be
    reached by SSH any more, but their scheduler knows them.
    """
    known = {None, *(host.name for host in cluster.hosts)}
    return [worker for worker in picture.workers if host_of(worker.name) not in known]


def of_moved_hosts(picture: Picture, facts: Mapping[str, Facts]) -> list[Worker]:
    """Workers on machines that hosts with these facts were before their addresses were changed.
    Where a host runs something it is the same machine, which `start` compares with the table.
    """
    moved = {name: each.ip for name, each in facts.items() if not each.running}
    return [
        worker
        for worker in picture.workers
        if (ip := moved.get(host_of(worker.name) or "")) and ip != worker.host
    ]


def tell(
    address: str, certificates: Mapping[str, str] | None, workers: Sequence[Worker]
) -> list[Worker]:
    """Tell them to leave. Returns those that do: all except those that somebody else has started.

    Raises:
        ClusterUnavailable: some did not hear it.
    """
    with closing(_client(address, certificates)) as client:

        async def tell_one(worker: Worker) -> bool | None:
            told = client.run(retire, workers=[worker.address])
            try:
                answers: dict[str, bool] = await asyncio.wait_for(told, _TELL_SECONDS)
            except Exception:  # it is frozen, or of another version
                return None
            return answers[worker.address]

        async def tell_all() -> list[bool | None]:
            return await asyncio.gather(*map(tell_one, workers))

        answers: list[bool | None] = client.sync(tell_all)
        pairs = list(zip(workers, answers, strict=True))
        if deaf := [worker.name for worker, leaves in pairs if leaves is None]:
            raise ClusterUnavailable(
                f"{', '.join(deaf)}: no answer within {_TELL_SECONDS:.0f} s, or an error, so not "
                "told to leave; try again later, or end the process if it is stuck or of another "
                "version"
            )
        return [worker for worker, leaves in pairs if leaves]


def announce_end(address: str, certificates: Mapping[str, str] | None) -> None:
    """Workers end one after another: what runs goes from one to the next, and none of their deaths
    is its fault.

    Raises:
        ClusterUnavailable: the scheduler did not hear it.
    """
    with closing(_client(address, certificates)) as client:
        try:
            client.sync(client.run_on_scheduler, blame_no_task, callback_timeout=_TELL_SECONDS)
        except Exception as error:  # it ends, hangs, or is of another version
            raise _lost(address, error) from error


def _client(address: str, certificates: Mapping[str, str] | None) -> Client:
    try:
        return open_client(address, certificates, _PATIENCE_SECONDS)
    except OSError as error:
        raise _lost(address, error) from error


def _lost(address: str, error: Exception) -> ClusterUnavailable:
    reason = str(error) or "timed out"  # asyncio's error, which may be faster than Dask's, is empty
    return ClusterUnavailable(f"{address} does not answer any more: {reason}")


def blame_no_task(dask_scheduler: Scheduler) -> None:
    """Run by Dask on the scheduler."""
    dask_scheduler.allowed_failures = sys.maxsize


def retire(dask_worker: DaskWorker) -> bool:
    """Run by Dask on a worker: let it leave for good, in its own time, if `start` has started it.
    Others may have a name like that, too.
    """
    ours = RETIRED in os.environ
    if ours:
        dask_worker.loop.add_callback(leave, dask_worker, renew=False)
    return ours
