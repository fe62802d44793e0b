"""What a worker that is renewed leaves to the next process in its place: the estimators whose
libraries it had imported. The next one does so at its start, which takes seconds, and not in the
middle of its first fits.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module

from distributed import Nanny, Worker
from distributed.protocol.pickle import dumps

_INHERITED = "DEEPCREDIT_INHERITED"
_ESTIMATORS = "models.estimators."


async def hand_down(worker: Worker) -> None:
    names = [name for name in sys.modules if name.startswith(_ESTIMATORS)]
    async with worker.rpc(str(worker.nanny)) as nanny:  # its address, whatever the type says
        await nanny.run(function=dumps(_keep), kwargs=dumps({"names": names}))


def _keep(names: list[str], dask_worker: Nanny) -> None:
    """Run by Dask in the nanny, which gives its variables to each worker that it starts."""
    dask_worker.env[_INHERITED] = ",".join(names)


def dask_setup(_: Worker) -> None:
    """Called by Dask before the worker joins its scheduler, since this module is among its preloads
    (launcher.cluster.config). What cannot be imported fails its own fits later.
    """
    for name in filter(None, os.environ.get(_INHERITED, "").split(",")):
        with suppress(Exception):
            import_module(name)
