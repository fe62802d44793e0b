"""What a worker runs for each task."""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from distributed import Worker, get_worker, secede
from distributed.comm.addressing import get_address_host

from configs.errors import HostUnfit
from launcher.cluster.leaving import TOPIC, note_task
from launcher.host.stuck import watched
from pipeline.executor import hearing

T = TypeVar("T")
R = TypeVar("R")

STUCK = "deepcredit-stuck"
"""The action of the event by which a worker tells that it ends for a task."""

_LAST_WORD_SECONDS = 1.0


def shielded(function: Callable[[T], R], task: T, renew_after: int, stuck_seconds: float) -> R:
    """A library that calls sys.exit() ends its task, not the worker; one that waits for ever ends
    the worker, so that the task is tried again.
    """
    worker = get_worker()
    try:
        with hearing(secede), watched(stuck_seconds, partial(_give_up, worker)):
            return function(task)
    except HostUnfit as error:
        error.host = get_address_host(worker.address)
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the task ended with {error!r}") from error
    finally:
        note_task(renew_after)


def _give_up(worker: Worker, where: str) -> None:
    sys.stderr.write(f"a task is stuck, so this worker ends; it stands here:\n{where}")
    worker.log_event(
        TOPIC, {"action": STUCK, "worker": worker.address, "where": where.splitlines()[-2:]}
    )
    time.sleep(_LAST_WORD_SECONDS)  # or the process would end before the event has left it
