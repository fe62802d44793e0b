"""Start Dask workers that declare what they have."""

import os
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from configs.errors import BadSetting
from configs.settings import PREFIX
from configs.wording import counted
from launcher.cluster.capacity import FITS_A_CARD, OURS, declared, limit_mb
from launcher.host.addresses import of_pages, towards
from launcher.host.machine import SEEN, cards, cores, memory_mb
from launcher.terminal import dask_cli
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import warn
from launcher.terminal.session import session
from storage.cache import open_cache

app = new_app()

_LISTENING = ("--host", "--interface", "--listen-address", "--contact-address")
"""Options of Dask's own command that say where it listens."""


@app.command(
    epilog=example(
        "deepcredit worker tcp://10.0.0.1:8786 --workers 6",
        "deepcredit worker tls://10.0.0.1:8786 --gpu 0 --memory-limit 16GiB --tag large",
        "deepcredit worker tcp://scheduler:8786 -- --dashboard-address :8788",
    )
)
def worker(
    ctx: typer.Context,
    scheduler: Annotated[
        str, typer.Argument(metavar="SCHEDULER", help="Its address, like tcp://10.0.0.1:8786.")
    ],
    more: dask_cli.More = None,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes, all alike.", metavar="N")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Tasks at once in each; with --gpu: fits that share the card.",
            metavar="N",
            show_default="1, with --gpu 4, or one a core",
        ),
    ] = None,
    memory_limit: Annotated[
        str,
        typer.Option(help="Of each, like 4GiB; 0: none; auto: by its threads.", metavar="SIZE"),
    ] = "auto",
    gpu: Annotated[
        int | None,
        typer.Option(min=0, help="The card to use, from 0; without it none is seen.", metavar="N"),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="What tasks may ask for; repeatable.", metavar="NAME[=AMOUNT]"),
    ] = None,
    name: Annotated[str, typer.Option(help="Its name in `cluster status`.")] = "",
    certificates: dask_cli.Certificates = None,
) -> None:
    """Start Dask workers that declare what they have.

    For hosts that `deepcredit cluster` does not reach: containers, other service managers.
    """
    folder = dask_cli.certified(ctx, scheduler, certificates)
    if "://:" in scheduler:
        raise BadSetting(f"{scheduler} names no host; where does the scheduler listen?")
    memory, at_once = memory_mb(), cores()
    many = threads or (1 if gpu is None else min(FITS_A_CARD, at_once))
    if workers * many > at_once:
        raise BadSetting(
            f"--workers times --threads are {workers * many}, but this host has "
            f"{counted(at_once, 'core')}; set one of them lower"
        )
    limit = limit_mb(memory_limit, many, at_once, memory)
    if workers * limit > memory + 1:  # of parts of it, rounded
        raise BadSetting(
            f"--workers times --memory-limit are {workers * limit:,.0f} MiB, but there are "
            f"{memory:,} MiB; set one of them lower"
        )
    if gpu is None:
        has = declared(limit, threads=many)
    else:
        if workers > 1:
            raise BadSetting("--gpu: a card has one worker; leave --workers out, or --gpu")
        has = declared(limit, cards=1)
    _check_own_settings(ctx)
    resources = has | dict(map(_resource, tag or ()))
    dask_cli.become(
        *("worker", scheduler, *(("--name", name) if name else ())),
        *_places(scheduler, more or ()),
        *("--nworkers", str(workers), "--nthreads", str(many), "--memory-limit", f"{limit:.0f}MiB"),
        *("--resources", " ".join(f"{k}={v:.10g}" for k, v in resources.items()), *(more or ())),
        certified=folder,
        card="" if gpu is None else _card(gpu),
    )


def _places(scheduler: str, more: Sequence[str]) -> list[str]:
    """Where it listens: Dask would do that at every address of the host, and run whatever comes."""
    ip = towards(scheduler)
    words = ["--dashboard-address", of_pages(ip, 0)]
    if not any(word.partition("=")[0] in _LISTENING for word in more):
        protocol = scheduler.partition("://")[0]
        words += ["--host", f"{protocol}://[{ip}]" if ":" in ip else f"{protocol}://{ip}"]
    return words


def _check_own_settings(ctx: typer.Context) -> None:
    """Check settings of this host, or each task that comes here would find out.

    Raises:
        BadSetting: a variable of this host is wrong, or its cache cannot be written.
    """
    settings = session(ctx).settings
    if f"{PREFIX}CACHE_DIR" in os.environ:  # else it is the launcher's that counts
        open_cache(settings).check()


def _card(number: int) -> str:
    """CUDA's name for this card, counted among those that are not hidden."""
    there = cards()
    if number < len(there):
        return there[number]
    warn(
        f"--gpu {number}: this host has {counted(len(there), 'card')}, counted from 0; what comes "
        "here computes on the CPU"
    )
    return "" if SEEN in os.environ else str(number)


def _resource(text: str) -> tuple[str, float]:
    named = re.fullmatch(r"([A-Za-z][\w.-]*)(?:=(\d+(?:\.\d+)?(?:e[+-]?\d+)?))?", text)
    if named is None:
        raise BadSetting(f"--tag: {text!r} is neither NAME nor NAME=AMOUNT")
    if named[1] in OURS:
        raise BadSetting(
            f"--tag: {named[1]} is declared by itself; see --threads, --gpu and --memory-limit"
        )
    return named[1], float(named[2] or 1)
