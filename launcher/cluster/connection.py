"""Connecting to a Dask cluster that is fit to run our code."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import dask
from distributed import Client
from distributed.security import Security

from configs.errors import BadSetting, ClusterUnavailable
from launcher.cluster.config import CONFIG
from launcher.cluster.executor import DaskExecutor
from launcher.versions import differences, versions

_PATIENCE_SECONDS = 60.0

log = logging.getLogger(__name__)


def connect(
    address: str,
    certificates: Mapping[str, str] | None = None,
    *,
    patience: float = _PATIENCE_SECONDS,
) -> DaskExecutor:
    """Connect to a scheduler that has workers and runs what we run.

    `patience`: seconds to wait for an answer, and for a first worker.

    Raises:
        BadSetting: the address is none of Dask's.
        ClusterUnavailable: no answer, no workers, or other versions of Python or libraries.
    """
    dask.config.set(CONFIG)
    # It reports with tracebacks what the executor raises as an error of ours.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        client = Client(
            address, security=security(certificates), timeout=patience, set_as_default=False
        )
    except (ValueError, TypeError) as error:
        raise BadSetting(f"scheduler: {address}: {error}; use tcp://host:8786") from error
    except (OSError, RuntimeError) as error:
        raise ClusterUnavailable(
            f"the Dask scheduler at {address} does not answer; start it or check "
            "DEEPCREDIT_SCHEDULER"
        ) from error
    executor = DaskExecutor(client)
    try:
        client.wait_for_workers(1, timeout=patience)
        _check_versions(client, address, patience)
    except TimeoutError as error:
        executor.close()
        raise ClusterUnavailable(f"the Dask scheduler at {address} has no workers") from error
    except BaseException:
        executor.close()
        raise
    return executor


def security(certificates: Mapping[str, str] | None) -> Security | None:
    """Dask's form of ca, cert and key as PEM text."""
    if certificates is None:
        return None
    return Security(
        require_encryption=True,
        tls_ca_file=certificates["ca"],
        tls_client_cert=certificates["cert"],
        tls_client_key=certificates["key"],
    )


def _check_versions(client: Client, address: str, patience: float) -> None:
    async def ask() -> dict[str, Any]:
        there = client.run(versions, on_error="return")
        answers: dict[str, Any] = await asyncio.wait_for(there, patience)
        scheduler = await client.run_on_scheduler(versions)
        return {**answers, f"scheduler {address}": scheduler}

    try:
        answers = client.sync(ask)
    except TimeoutError:
        log.warning("workers too busy to tell their versions; going on without a comparison")
        return
    for place, there in answers.items():
        if isinstance(there, OSError):  # a worker that left between the question and the answer
            continue
        if isinstance(there, Exception):
            raise ClusterUnavailable(f"{place} cannot run our code: {there}; install deepcredit")
        if found := differences(versions(), there):
            raise ClusterUnavailable(
                f"{place} has {', '.join(found)}; install the same versions everywhere"
            )
