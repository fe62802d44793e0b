"""Connecting to a Dask cluster that is fit to run our code."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dask
import structlog
from distributed import Client
from distributed.client import ClosedClientError
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import get_backend
from distributed.exceptions import WorkerStartTimeoutError

from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster import events
from launcher.cluster.client import open_client
from launcher.cluster.config import CONFIG
from launcher.cluster.executor import DaskExecutor
from launcher.cluster.link import Link
from launcher.cluster.speaking import no_answer, speaking
from launcher.host.at_start import versions_at_start
from launcher.host.versions import differences, versions

_PATIENCE_SECONDS = 60.0
_AGAIN_PATIENCE_SECONDS = 15.0
_AGAIN_PAUSE_SECONDS = 0.5

log = structlog.get_logger(__name__)


def connect(
    address: str,
    certificates: Mapping[str, str] | None = None,
    *,
    patience: float = _PATIENCE_SECONDS,
    remote: bool = True,
    steady: bool = False,
    renew_after: int = 0,
    stuck_seconds: float = 0,
    on_wait: Callable[[str], None] = lambda _: None,
) -> DaskExecutor:
    """Connect to a scheduler that has workers and runs what we run. The caller closes it.

    `patience`: seconds to wait for an answer, and for a first worker. `remote`: its workers may
    lack our local cache, as all but those that a launcher has embedded. `steady`: a scheduler that
    is lost later is expected back at the same address, and runs go on with it; `on_wait`: see Link.
    `renew_after` and `stuck_seconds`: see DaskExecutor.

    Raises:
        BadSetting: the address is none of Dask's.
        ClusterUnavailable: no answer, no workers, or other versions of Python or libraries.
    """
    _check_address(address)
    again = partial(_open_again, address, certificates) if steady else None
    link = Link(_open(address, certificates, patience), again, on_wait)
    return DaskExecutor(link, remote=remote, renew_after=renew_after, stuck_seconds=stuck_seconds)


def _open(address: str, certificates: Mapping[str, str] | None, patience: float) -> Client:
    dask.config.set(CONFIG)
    # It reports with tracebacks what the executor raises as an error of ours.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        asyncio.run(asyncio.wait_for(_greet(address, certificates), patience))
        client = open_client(address, certificates, patience)
    except (OSError, RuntimeError) as error:
        raise _no_answer(address) from error
    try:
        # Its own limit holds from one answer to the next: a scheduler that hangs gives none.
        client.sync(client.wait_for_workers, 1, timeout=patience, callback_timeout=2 * patience)
        _check_versions(client, address, patience)
        events.watch(client)
    except WorkerStartTimeoutError as error:
        client.close()
        raise ClusterUnavailable(f"the Dask scheduler at {address} has no workers") from error
    except (ClosedClientError, OSError) as error:  # lost again meanwhile, or silent
        client.close()
        raise _no_answer(address) from error
    except BaseException:
        client.close()
        raise
    return client


def _no_answer(address: str) -> ClusterUnavailable:
    return ClusterUnavailable(no_answer(address, "start one or check DEEPCREDIT_SCHEDULER"))


def _open_again(address: str, certificates: Mapping[str, str] | None, until: float) -> Client:
    """A scheduler that was lost may be down for a while."""
    while True:
        try:
            return _open(address, certificates, _AGAIN_PATIENCE_SECONDS)
        except ClusterUnavailable:
            if time.monotonic() > until:
                raise
        time.sleep(_AGAIN_PAUSE_SECONDS)


async def _greet(address: str, certificates: Mapping[str, str] | None) -> None:
    """A Client would wait for ever where a port is open and nobody speaks."""
    async with speaking(address, certificates) as scheduler:
        await scheduler.identity(n_workers=0)


def _check_address(address: str) -> None:
    try:
        scheme, place = parse_address(address)
        get_backend(scheme)
        parse_host_port(place)
    except (ValueError, TypeError) as error:
        raise BadSetting(f"scheduler: {address}: {error}; use tcp://host:8786") from error


def _check_versions(client: Client, address: str, patience: float) -> None:
    async def ask() -> dict[str, Any]:
        answers: dict[str, Any] = {}
        try:
            there = client.run(versions_at_start, on_error="return")
            answers |= await asyncio.wait_for(there, patience)
        except TimeoutError:
            log.warning("workers too busy to tell their versions; going on without a comparison")
        try:
            there = client.run_on_scheduler(versions_at_start)
            scheduler = await asyncio.wait_for(there, patience)
        except ImportError as error:
            scheduler = error
        return {**answers, f"scheduler {address}": scheduler}

    for place, there in client.sync(ask).items():
        if isinstance(there, OSError):  # a worker that left between the question and the answer
            continue
        if isinstance(there, Exception):
            raise ClusterUnavailable(
                f"{place} cannot run our code: {there}; install the same version"
            )
        if found := differences(versions(), there):
            raise ClusterUnavailable(
                f"{place} has {', '.join(found)}; install the same versions everywhere"
            )
