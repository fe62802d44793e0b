"""Claim batches and run them until told to stop."""

from typing import Annotated

import typer

from configs import logs
from launcher.service import store_look
from launcher.service.daemon import Daemon
from launcher.service.notify import Notifier
from launcher.service.profile import Profile
from launcher.terminal.folder import example, new_app
from launcher.terminal.naming import queue_names, tag_names
from launcher.terminal.session import session
from storage import scratch
from storage.cache import open_cache

app = new_app()


@app.command(
    epilog=example(
        "deepcredit launcher SERVER_001",
        "deepcredit launcher SERVER_001 --slots 2 --tag gpu",
        "deepcredit launcher SERVER_001 --queue urgent --queue default",
        "deepcredit launcher SERVER_001 --drain",
    )
)
def launcher(
    ctx: typer.Context,
    server_id: Annotated[
        str,
        typer.Argument(
            metavar="SERVER_ID", help="Its id, as in serve_server_id; also names its log."
        ),
    ],
    slots: Annotated[int, typer.Option(min=1, max=64, help="Batches at once.", metavar="N")] = 1,
    drain: Annotated[
        bool, typer.Option("--drain", help="Exit when nothing is left to run.")
    ] = False,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Runs batches that need this tag; repeatable.", metavar="TAG"),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Serves this queue (default); repeatable: in this order.",
            show_default=False,
            metavar="QUEUE",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve metrics for Prometheus there; 0: no.", metavar="PORT"
        ),
    ] = None,
) -> None:
    """Claim batches and run them until told to stop.

    SIGTERM or Ctrl-C once: claim nothing more, let what runs finish for grace_seconds, then give
    it back; twice: at once.

    With --drain it exits with 0 when nothing is left that it could run, whether batches failed or
    not: `deepcredit batch list --state E` has those; with 1 where none could begin, as without the
    Dask cluster.
    """
    queues = queue_names(queue or ("default",))
    tags = tag_names(tag or ())
    settings = session(ctx).settings
    logs.configure(settings, server_id=server_id)
    cache = open_cache(settings)
    cache.check()  # or all batches would fail
    cache.clean()
    scratch.clean()
    store_look.ask(settings)
    if metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": metrics_port})
    profile = Profile(server_id=server_id, slots=slots, tags=tags, queues=queues)
    daemon = Daemon(settings, profile, drain=drain, spare=not drain, notifier=Notifier())
    raise typer.Exit(daemon.run())
