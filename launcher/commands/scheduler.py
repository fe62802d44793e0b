"""Start a Dask scheduler, set up for launchers and workers."""

from typing import Annotated

import typer

from launcher.host.addresses import check_free
from launcher.terminal import dask_cli
from launcher.terminal.folder import example, new_app

app = new_app()


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
    dask_cli.become("scheduler", "--host", address, *(more or ()), certified=folder)
