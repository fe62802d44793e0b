"""Telling workers that run elsewhere to leave for good, each after what it runs."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import closing

from distributed import Client
from distributed import Worker as DaskWorker

from configs.cluster import Cluster
from configs.errors import ClusterUnavailable
from launcher.cluster.look import Picture, Worker
from launcher.cluster.renewal import leave
from launcher.cluster.speaking import security

_PATIENCE_SECONDS = 30.0
_TELL_SECONDS = 15.0
_STARTED = re.compile(r"(.+)-(?:cpu\d*(?:-\d+)?|gpu\d+)")
"""How `start` names workers: by their host, whose name comes first."""


def of_former_hosts(cluster: Cluster, picture: Picture) -> list[Worker]:
    """Workers that `start` has started on hosts which are no longer configured. They cannot be
    reached by SSH any more, but their scheduler knows them.
    """
    hosts = {host.name for host in cluster.hosts}
    found = [(worker, _STARTED.fullmatch(worker.name)) for worker in picture.workers]
    return [
        worker for worker, named in found if named and named[1] not in hosts and not worker.leaving
    ]


def tell(address: str, certificates: Mapping[str, str] | None, workers: Sequence[Worker]) -> None:
    """Raises ClusterUnavailable: some did not hear it."""
    try:
        opened = Client(
            address,
            security=security(certificates),
            timeout=_PATIENCE_SECONDS,
            set_as_default=False,
        )
    except OSError as error:
        raise ClusterUnavailable(f"{address} does not answer any more: {error}") from error
    with closing(opened) as client:

        async def tell_one(worker: Worker) -> str | None:
            told = client.run(retire, workers=[worker.address])
            try:
                await asyncio.wait_for(told, _TELL_SECONDS)
            except Exception:  # it is frozen, or of another version
                return worker.name
            return None

        async def tell_all() -> list[str | None]:
            return await asyncio.gather(*map(tell_one, workers))

        if deaf := [name for name in client.sync(tell_all) if name]:
            raise ClusterUnavailable(
                f"{', '.join(deaf)}: no answer within {_TELL_SECONDS:.0f} s, or an error, so not "
                "told to leave; try again later, or end the process if it is stuck or of another "
                "version"
            )


def retire(dask_worker: DaskWorker) -> None:
    """Run by Dask on a worker: let it leave for good, in its own time."""
    dask_worker.loop.add_callback(leave, dask_worker, renew=False)
