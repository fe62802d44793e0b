"""The daemon: claims batches and runs them."""

from typing import Annotated

import typer

from configs import logs
from launcher.daemon import Daemon
from launcher.folder import example, new_app
from launcher.session import session

app = new_app()


@app.command(
    epilog=example(
        "deepcredit launcher SERVER_001",
        "deepcredit launcher SERVER_001 --slots 2 --tag gpu",
        "deepcredit launcher SERVER_001 --drain",
    )
)
def launcher(
    ctx: typer.Context,
    server_id: Annotated[
        str, typer.Argument(metavar="SERVER_ID", help="Its name in serve_server_id and in logs/.")
    ],
    slots: Annotated[int, typer.Option(min=1, max=64, help="Batches at once.")] = 1,
    drain: Annotated[
        bool, typer.Option("--drain", help="Exit when nothing is left to run.")
    ] = False,
    tag: Annotated[
        list[str] | None, typer.Option(help="Runs batches that need this tag; repeatable.")
    ] = None,
) -> None:
    """Claim batches and run them until told to stop.

    SIGTERM or Ctrl-C once: claim nothing more, let what runs finish for grace_seconds, then give
    it back; twice: at once.
    """
    settings = session(ctx).settings
    logs.configure(settings, server_id=server_id)
    daemon = Daemon(
        settings, server_id, slots=slots, drain=drain, spare=not drain, tags=tag or ()
    )
    raise typer.Exit(daemon.run())
