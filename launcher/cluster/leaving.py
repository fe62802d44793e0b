"""Workers that end gracefully: what runs goes on to its end, and nothing new begins.

Dask's own way to retire a worker moves its results elsewhere but gives up what it runs, so a fit
would be done twice.
"""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from distributed import Worker, get_worker
from distributed.core import Status

from launcher.cluster.inheritance import hand_down
from launcher.host.keep import RETIRED

TOPIC = "all"
"""Under it Dask tells clients of all workers, and we of those that leave."""

LEAVING = "deepcredit-leaving"
"""The action of the event that a leaving worker tells of."""

_LOOK_SECONDS = 0.05
_FETCH_SECONDS = 10.0
_AGAIN_SECONDS = 2.0
_REST_SECONDS = 5.0
_SPREAD_SECONDS = 10


@dataclass(slots=True)
class _Life:
    tasks: int = 0


_life = _Life()
"""Of this process."""


def note_task(renew_after: int) -> None:
    """Called on a worker after each task. After `renew_after` of them (0: never) the worker is
    replaced by a new process, so that what libraries leak does not add up for ever.
    """
    worker = get_worker()
    worker.loop.add_callback(_note, worker, renew_after)


async def _note(worker: Worker, renew_after: int) -> None:
    """Replace it already after half of its tasks if it rests: then nobody waits for the new one.

    Workers differ by up to a fifth, and rest for as long as each likes, so that they do not all
    leave at once.
    """
    _life.tasks += 1
    if not renew_after or not worker.nanny:  # without a nanny nobody would start another
        return
    # It may have done more under another launcher, or before the setting was lowered.
    done, most = _life.tasks, renew_after - os.getpid() % max(1, renew_after // 5)
    if done < most:
        if done < most / 2:
            return
        await asyncio.sleep(_REST_SECONDS + os.getpid() % _SPREAD_SECONDS)
        if _life.tasks != done or worker.state.executing or worker.state.long_running:
            return
    await leave(worker, renew=True)


async def leave(dask_worker: Worker, *, renew: bool) -> None:
    """End a worker once it runs nothing; with `renew`, its nanny starts another."""
    if renew and dask_worker.status != Status.running:
        return  # it leaves already
    why = "renewed" if renew else "retired"
    if not renew:
        _tell_keeper(str(dask_worker.name))
        await _tell_nanny(dask_worker)
    dask_worker.log_event(TOPIC, {"action": LEAVING, "worker": dask_worker.address, "why": why})
    # The scheduler tells of this status too, and its answer may overtake that: when the worker
    # closes already, Dask would log it as an error.
    dask_worker.stream_handlers["worker-status-change"] = lambda **_: None
    gone = False
    while not gone:
        dask_worker.status = Status.closing_gracefully  # as such it begins nothing
        await _idle(dask_worker)
        if renew:
            with suppress(OSError):  # the next one only starts slower
                await hand_down(dask_worker)
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
    if renew:
        os._exit(0)  # else it would wait for its nanny for two seconds, and the nanny for it


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
