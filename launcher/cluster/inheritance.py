"""What a worker that is renewed leaves to the next process in its place: the estimators whose
libraries it had imported. The next one does so at its start, which takes seconds, and not in the
middle of its first fits.
"""

import sys

from distributed import Nanny, Worker
from distributed.protocol.pickle import dumps

from launcher.cluster.config import AT_START

_ESTIMATORS = "models.estimators."


async def hand_down(worker: Worker) -> None:
    """To be called before the worker has left its scheduler, as Dask then closes it."""
    names = sorted(name for name in sys.modules if name.startswith(_ESTIMATORS))
    async with worker.rpc(str(worker.nanny)) as nanny:  # its address, whatever the type says
        await nanny.run(function=dumps(_preload), kwargs=dumps({"names": names}))


def _preload(names: list[str], dask_worker: Nanny) -> None:
    """Run by Dask in the nanny. What somebody has configured to be preloaded stays as it is."""
    process = dask_worker.process
    if process is None:
        return
    preloaded = process.worker_kwargs["preload"]
    if all(name == AT_START or name.startswith(_ESTIMATORS) for name in preloaded):
        process.worker_kwargs["preload"] = [AT_START, *names]
