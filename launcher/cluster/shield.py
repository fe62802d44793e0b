"""What a worker runs for each task."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn, TypeVar

import dask
from dask.typing import Key
from distributed import Worker, get_worker, secede
from distributed.comm.addressing import get_address_host

from configs.errors import HostUnfit
from launcher.cluster.leaving import TOPIC, note_task
from launcher.host.apart import Apart, Died, Hangs
from launcher.host.processes import memory
from launcher.host.stuck import STUCK as STUCK_CODE
from launcher.host.stuck import watched
from pipeline.executor import hearing

A = TypeVar("A")
T = TypeVar("T")
R = TypeVar("R")

STUCK = "deepcredit-stuck"
"""The action of the event by which a worker tells that it ends for a task that is stuck."""

DIED = "deepcredit-died"
"""Likewise, that it ends since what it computed apart has died or took too much memory."""

_DIED_CODE = 5
_LAST_WORD_SECONDS = 1.0

_apart = Apart()
"""Of this process."""


def shielded(function: Callable[[T], R], task: T, renew_after: int, stuck_seconds: float) -> R:
    """A library that calls sys.exit() ends its task, not the worker; one that waits for ever ends
    the worker, so that the task is tried again.
    """
    worker = get_worker()
    elsewhere = partial(_call_apart, worker, stuck_seconds)
    try:
        with hearing(secede, elsewhere), watched(stuck_seconds, partial(_give_up, worker)):
            return function(task)
    except HostUnfit as error:
        error.host = get_address_host(worker.address)
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the task ended with {error!r}") from error
    finally:
        note_task(renew_after)


def _call_apart(
    worker: Worker, stuck_seconds: float, name: str, function: Callable[[A], R], argument: A
) -> R:
    """What its process does not survive, this one does not either: there is one way in which tasks
    of workers that died are tried again.
    """
    look = partial(_check, worker, worker.get_current_task())
    try:
        return _apart.call(name, function, argument, stuck_seconds=stuck_seconds, look=look)
    except Hangs as error:
        _give_up(worker, str(error))
        os._exit(STUCK_CODE)
    except Died as error:
        _end(worker, f"the process that computed it {error}")


def _check(worker: Worker, key: Key) -> None:
    """Dask compares with the limit what this process takes, and cannot end what a thread does; here
    is what other processes take, and they can be ended: those that rest before those at work.
    """
    task = worker.state.tasks.get(key)
    if task is None or task.state == "cancelled":
        raise RuntimeError("cancelled while it was computed")
    share = dask.config.get("distributed.worker.memory.terminate")
    limit = (worker.memory_manager.memory_limit or 0) * (share or 0)
    if not limit or _taken() <= limit:
        return
    _apart.end_rested()
    if (taken := _taken()) > limit:
        raise Died(f"was ended: it and its worker had {taken / 1e6:,.0f} of {limit / 1e6:,.0f} MB")


def _taken() -> int:
    return memory(os.getpid()).resident + _apart.memory()


def _end(worker: Worker, why: str) -> NoReturn:
    sys.stderr.write(f"a task's process is lost, so this worker ends: {why}\n")
    _tell(worker, {"action": DIED, "why": why})
    os._exit(_DIED_CODE)


def _give_up(worker: Worker, where: str) -> None:
    sys.stderr.write(f"a task is stuck, so this worker ends; it stands here:\n{where}")
    _tell(worker, {"action": STUCK, "where": where.splitlines()[-2:]})


def _tell(worker: Worker, what: Mapping[str, Any]) -> None:
    worker.log_event(TOPIC, {**what, "worker": worker.address})
    time.sleep(_LAST_WORD_SECONDS)  # or the process would end before the event has left it
