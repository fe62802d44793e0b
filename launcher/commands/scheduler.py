"""Start a Dask scheduler, set up for launchers and workers."""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from launcher.host.addresses import check_free, of_pages
from launcher.terminal import dask_cli
from launcher.terminal.folder import example, new_app

app = new_app()

_PAGES = 8787


@app.command(
    epilog=example(
        "deepcredit scheduler tcp://10.0.0.1:8786",
        "deepcredit scheduler tls://:8786 -- --no-dashboard",
    )
)
def scheduler(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Where it listens; without a host: everywhere.")
    ],
    more: dask_cli.More = None,
    certificates: dask_cli.Certificates = None,
) -> None:
    """Start a Dask scheduler, set up for launchers and workers.

    For hosts that `deepcredit cluster` does not reach: containers, other service managers.
    """
    folder = dask_cli.certified(ctx, address, certificates)
    check_free(address)
    host = urlsplit(address).hostname
    pages = ("--dashboard-address", of_pages(host, _PAGES)) if host else ()
    dask_cli.become("scheduler", "--host", address, *pages, *(more or ()), certified=folder)
