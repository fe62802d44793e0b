"""Workers that end gracefully: what runs goes on to its end, and nothing new begins.

Dask's own way to retire a worker moves its results elsewhere but gives up what it runs, so a fit
would be done twice.
"""

import asyncio
import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path

from distributed import Worker, get_worker
from distributed.core import Status

from launcher.host.keep import RETIRED

TOPIC = "all"
"""Under it Dask tells clients of all workers, and we of those that leave."""

LEAVING = "deepcredit-leaving"
"""The action of the event that a leaving worker tells of."""

_LOOK_SECONDS = 0.05
_FETCH_SECONDS = 10.0
_AGAIN_SECONDS = 2.0


def note_task(renew_after: int) -> None:
    """Called on a worker after each task. After `renew_after` of them (0: never) the worker is
    replaced by a new process, so that what libraries leak does not add up for ever.

    Workers differ by up to a fifth, so that they do not all leave at once.
    """
    done = next(_tally())
    # It may have done more under another launcher, or before the setting was lowered.
    if not renew_after or done < renew_after - os.getpid() % max(1, renew_after // 5):
        return
    worker = get_worker()
    if worker.nanny:  # without one nobody would start another
        worker.loop.add_callback(leave, worker, renew=True)


async def leave(dask_worker: Worker, *, renew: bool) -> None:
    """End a worker once it runs nothing; with `renew`, its nanny starts another."""
    if renew and dask_worker.status != Status.running:
        return  # it leaves already
    why = "renewed" if renew else "retired"
    if not renew:
        _tell_keeper(str(dask_worker.name))
        await _tell_nanny(dask_worker)
    dask_worker.log_event(TOPIC, {"action": LEAVING, "worker": dask_worker.address, "why": why})
    gone = False
    while not gone:
        dask_worker.status = Status.closing_gracefully  # as such it begins nothing
        await _idle(dask_worker)
        answer = await dask_worker.scheduler.retire_workers(
            workers=[dask_worker.address],
            close_workers=False,
            remove=True,
            stimulus_id=f"{LEAVING}-{dask_worker.address}",
        )
        gone = dask_worker.address in answer
        if not gone:  # with results that nobody can take over it stays, and goes on meanwhile
            dask_worker.status = Status.running
            await asyncio.sleep(_AGAIN_SECONDS)
    await dask_worker.close(nanny=not renew, reason=why)


async def _tell_nanny(worker: Worker) -> None:
    """Or it would start another in the place of one that is killed before it has left."""
    if worker.nanny:
        async with worker.rpc(str(worker.nanny)) as nanny:  # its address, whatever the type says
            await nanny.close_gracefully(reason=LEAVING)


def _tell_keeper(name: str) -> None:
    if file := os.environ.get(RETIRED):
        with Path(file).open("a", encoding="utf-8") as told:
            told.write(f"{name}\n")


async def _idle(worker: Worker) -> None:
    """Until nothing runs and, for a while, until results were fetched by who asked for them."""
    while worker.state.executing or worker.state.long_running:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(_LOOK_SECONDS)
    for _ in range(int(_FETCH_SECONDS / _LOOK_SECONDS)):
        if not worker.data:
            return
        await asyncio.sleep(_LOOK_SECONDS)


@lru_cache(maxsize=1)
def _tally() -> Iterator[int]:
    """Of the tasks of this process."""
    return count(1)
