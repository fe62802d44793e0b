"""A cluster as its scheduler sees it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed.utils import format_dashboard_link

from configs.errors import ClusterUnavailable
from launcher.cluster.capacity import GPU, OURS
from launcher.cluster.config import CONFIG
from launcher.cluster.speaking import check_port, no_answer, speaking

_PATIENCE_SECONDS = 15.0
_WORKER_SECONDS = 3.0
_PAGES_SECONDS = 3.0


class NoAnswer(ClusterUnavailable):
    """The scheduler does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Memory in bytes; a limit of 0 is none."""

    name: str
    address: str
    host: str
    threads: int
    memory: int
    memory_limit: int
    running: int
    waiting: int
    gpus: int
    tags: Sequence[str]
    leaving: bool
    """Whether it ends after what it runs now."""
    answering: bool
    """Whether it said a word when it was asked; a fit may keep it from that for a while."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A scheduler and its workers, by name; `differences` in libraries, a line each.

    `dashboard`: a link to it, as Dask is configured to make one; `dashboard_port`: where it is.
    """

    address: str
    dashboard: str
    workers: Sequence[Worker]
    differences: Sequence[str] = ()
    dashboard_port: int | None = None


def look(
    address: str,
    certificates: Mapping[str, str] | None,
    *,
    patience: float = _PATIENCE_SECONDS,
) -> Picture:
    """Ask a scheduler.

    Raises:
        NoAnswer: it does not answer, or not to these certificates.
    """
    dask.config.set(CONFIG)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        info, processing, here, there = asyncio.run(_ask(address, certificates, patience))
    except (OSError, RuntimeError) as error:
        advice = "`deepcredit cluster start` or `deepcredit scheduler` starts one"
        raise NoAnswer(no_answer(address, advice)) from error
    workers = [
        _worker(name, each, processing.get(name, ()), answering=name in there)
        for name, each in info["workers"].items()
    ]
    return Picture(
        address,
        _dashboard(address, info["services"]),
        sorted(workers, key=lambda worker: worker.name),
        _differences(here, there),
        info["services"].get("dashboard"),
    )


def has_pages(dashboard: str) -> bool:
    """Whether a scheduler has its dashboard: one with --no-dashboard names its address, too, and
    serves figures for programs there. A page that cannot be reached from here counts as one.
    """
    parts = urlsplit(dashboard)
    if not parts.hostname:
        return bool(dashboard)
    asked = HTTPConnection(parts.hostname, parts.port, timeout=_PAGES_SECONDS)
    try:
        with closing(asked):
            asked.request("HEAD", parts.path)  # a GET would have it drawn
            return asked.getresponse().status != HTTPStatus.NOT_FOUND
    except (OSError, HTTPException):
        return True


async def _ask(
    address: str, certificates: Mapping[str, str] | None, patience: float
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Identity, what workers process, and versions: the scheduler's, and those of workers that
    answer, by address. A frozen worker must not keep us from the rest.
    """
    async with speaking(address, certificates) as scheduler:

        async def picture() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
            await check_port(address, certificates)
            return (
                await scheduler.identity(n_workers=-1),
                await scheduler.processing(workers=None),
                await scheduler.versions(),
            )

        async def versions_of(worker: str) -> dict[str, Any]:
            message, wanted = {"op": "versions"}, [worker]
            asked = scheduler.broadcast(msg=message, workers=wanted, on_error="ignore")
            with suppress(TimeoutError):
                return dict(await asyncio.wait_for(asked, _WORKER_SECONDS))
            return {}

        info, processing, here = await asyncio.wait_for(picture(), patience)
        answers = await asyncio.gather(*map(versions_of, info["workers"]))
    return info, processing, here, {k: v for each in answers for k, v in each.items() if v}


def _worker(
    address: str, info: Mapping[str, Any], tasks: Sequence[Any], *, answering: bool
) -> Worker:
    metrics = info["metrics"]
    # Tasks that only send their files count as running, too.
    running = metrics.get("executing", 0) + metrics.get("task_counts", {}).get("long-running", 0)
    resources: Mapping[str, float] = info["resources"]
    return Worker(
        name=str(info["name"]),
        address=address,
        host=info["host"],
        threads=info["nthreads"],
        memory=metrics.get("memory", 0),
        memory_limit=info["memory_limit"] or 0,
        running=running,
        waiting=max(0, len(tasks) - running),
        gpus=int(resources.get(GPU, 0)),
        tags=sorted(name for name in resources if name not in OURS),
        leaving=info["status"] != "running",
        answering=answering,
    )


def _dashboard(address: str, services: Mapping[str, int]) -> str:
    """Dask's own never listens at an IPv6 address: it is to be asked on the scheduler's host."""
    port = services.get("dashboard")
    host = urlsplit(address).hostname
    return (
        format_dashboard_link("localhost" if ":" in host else host, port) if port and host else ""
    )


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Workers with another version than the scheduler's of anything that Dask itself needs."""
    return sorted(
        f"{address} has {name} {worker['packages'].get(name)}, the scheduler {ours}"
        for address, worker in there.items()
        for name, ours in here["packages"].items()
        if worker["packages"].get(name) != ours
    )
