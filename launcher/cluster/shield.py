"""What a worker runs for each task."""

from collections.abc import Callable
from typing import TypeVar

from distributed import get_worker, secede
from distributed.comm.addressing import get_address_host

from configs.errors import HostUnfit
from launcher.cluster.leaving import note_task
from pipeline.executor import hearing

T = TypeVar("T")
R = TypeVar("R")


def shielded(function: Callable[[T], R], task: T, renew_after: int) -> R:
    """A library that calls sys.exit() ends its task, not the worker."""
    try:
        with hearing(secede):
            return function(task)
    except HostUnfit as error:
        error.host = get_address_host(get_worker().address)
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the task ended with {error!r}") from error
    finally:
        note_task(renew_after)
