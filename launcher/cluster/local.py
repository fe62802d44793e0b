"""The process of the embedded local cluster: scheduler and workers on loopback."""

import json
import logging
import os
import select
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dask
from distributed import LocalCluster

from configs.installed import can_use_cards
from launcher.cluster import certificates
from launcher.cluster.capacity import declared, fits_a_card
from launcher.cluster.config import CONFIG, OF_A_WORKER, PRELOADED
from launcher.cluster.speaking import security
from launcher.host.channel import private_pipes, read_line
from launcher.host.machine import SEEN, cards, cores, memory_mb

_LOOK_SECONDS = 2.0
_CARDS_SECONDS = 60.0
_LEAST_MB = 1000  # of a worker; less leaves little beside the libraries


def main() -> None:
    """The embedded cluster: one line with what is wanted in, one with its address out; it ends
    with its workers when stdin does.
    """
    source, target = private_pipes()
    wanted = json.loads(read_line(source))
    # A service manager that signals every process must not take the workers from batches that
    # their launcher lets finish. A handler, unlike SIG_IGN, is not inherited by the workers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    dask.config.update_defaults(PRELOADED)
    # The latter for the scheduler: Dask imports first of all from there, see `become`.
    dask.config.set({**CONFIG, "temporary-directory": wanted["directory"]})
    os.environ.update(OF_A_WORKER)  # workers inherit it
    logging.getLogger("distributed.scheduler").addFilter(_is_news)
    # It dies with these processes, which may live for years.
    made = certificates.self_signed(certificates.NEVER)
    crew = crew_here(wanted["workers"])
    cache = Path(wanted["directory"]).parent
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)  # before Dask makes it for all to read
    try:
        cluster = LocalCluster(
            n_workers=crew.workers,
            threads_per_worker=1,
            memory_limit=crew.limit_mb * 2**20,
            resources=declared(crew.limit_mb, threads=1),
            env={SEEN: ""},
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=security(made),
            local_directory=wanted["directory"],
        )
        _add_cards(cluster, crew)
        answer = {
            "workers": crew.workers,
            "cards": crew.cards,
            "address": cluster.scheduler_address,
            "certificates": made,
        }
        os.write(target, json.dumps(answer).encode() + b"\n")
        _keep_up(cluster, source)
    finally:
        _end()


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers without a card, and cards, each with a worker of so many threads."""

    workers: int
    limit_mb: int
    cards: tuple[str, ...]
    fits_a_card: int


def usable_cards() -> tuple[str, ...]:
    """A card that no library knows would only keep cores from others."""
    return cards() if any(map(can_use_cards, ("torch", "xgboost"))) else ()


def crew_here(wanted: int) -> Crew:
    return crew_of(wanted, cores(), usable_cards(), memory_mb())


def crew_of(wanted: int, cores: int, cards: tuple[str, ...], memory: int) -> Crew:
    """As many threads as there are cores and memory for. If a number of workers is wanted, each may
    have less memory, but there are never more threads than cores.
    """
    share = fits_a_card(cores, len(cards))
    threads = cores if wanted else min(cores, memory // _LEAST_MB)
    most = max(1, threads - len(cards) * share)
    workers = min(wanted, most) if wanted else most
    return Crew(workers, memory // (workers + len(cards) * share), cards, share)


def _add_cards(cluster: LocalCluster, crew: Crew) -> None:
    if not crew.cards:
        return
    for card in crew.cards:
        limit_mb = crew.limit_mb * crew.fits_a_card
        like = cluster.worker_spec[0]
        options = like["options"] | {
            "nthreads": crew.fits_a_card,
            "memory_limit": limit_mb * 2**20,
            "resources": declared(limit_mb, cards=1),
            "env": {SEEN: card},
        }
        cluster.worker_spec[f"gpu{card}"] = like | {"options": options}
    cluster.scale(len(cluster.worker_spec))
    with suppress(TimeoutError):  # else the first fits would find no card, and go without
        cluster.wait_for_workers(len(cluster.worker_spec), timeout=_CARDS_SECONDS)


def _keep_up(cluster: LocalCluster, source: int) -> None:
    """Until the end of stdin, replace workers that Dask has given up: its nanny restarts one that
    dies at work, but not one that dies while it starts.
    """
    while True:
        readable, _, _ = select.select([source], [], [], _LOOK_SECONDS)
        if readable and not os.read(source, 65536):
            return
        cluster.scale(len(cluster.worker_spec))


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the launcher's log needs it. Children are killed, and take no leave of the scheduler;
    it then fails to tell a client that the same client is gone, and says so with a traceback.
    """
    return not str(record.msg).startswith("Closed comm %r while trying to write")


def _end() -> None:
    """Workers busy in a fit do not hear a polite request, and those who hear it tell of each task
    that it cost them. What they leave in the folder goes when the next cluster starts.
    """
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
