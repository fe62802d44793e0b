"""The daemon: claims batches and runs them."""

from contextlib import closing
from typing import Annotated

import structlog
import typer

from configs import logs
from configs.errors import DatabaseUnavailable, StoreUnavailable
from launcher.daemon import Daemon
from launcher.folder import example, new_app
from launcher.notify import Notifier
from launcher.session import Session, session
from pipeline import ownership
from pipeline.ownership import Standing
from storage import identity, named_files
from storage.artifacts.opening import open_store

app = new_app()

log = structlog.get_logger(__name__)


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
        str, typer.Argument(metavar="SERVER_ID", help="Its name in serve_server_id and in logs/.")
    ],
    slots: Annotated[int, typer.Option(min=1, max=64, help="Batches at once.")] = 1,
    drain: Annotated[
        bool, typer.Option("--drain", help="Exit when nothing is left to run.")
    ] = False,
    tag: Annotated[
        list[str] | None, typer.Option(help="Runs batches that need this tag; repeatable.")
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Serves this queue (default); repeatable: in this order.", show_default=False
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Serve metrics for Prometheus there; 0: no."),
    ] = None,
) -> None:
    """Claim batches and run them until told to stop.

    SIGTERM or Ctrl-C once: claim nothing more, let what runs finish for grace_seconds, then give
    it back; twice: at once.

    With --drain it exits with 0 when nothing is left that it could run, whether batches failed or
    not: `deepcredit batch list --state E` has those.
    """
    opened = session(ctx)
    settings = opened.settings
    logs.configure(settings, server_id=server_id)
    _look_at_store(opened)
    if metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": metrics_port})
    daemon = Daemon(
        settings,
        server_id,
        slots=slots,
        drain=drain,
        spare=not drain,
        tags=tag or (),
        queues=queue or ("default",),
        notifier=Notifier(),
    )
    raise typer.Exit(daemon.run())


def _look_at_store(opened: Session) -> None:
    """Each batch looks, too; but a launcher with another's store, or with a disk that is not
    mounted, would fail them all.

    Raises:
        StoreNotOurs: the model store is another database's.
        StoreUnavailable: it is empty, and should not be.
    """
    # Not to be waited for: what does not answer now may do so when a batch needs it.
    settings = opened.settings.model_copy(update={"store_patience_seconds": 0})
    try:
        ours = opened.read(identity.database_id)
        named = opened.read(named_files.uris)  # before we look: what is named by now is there
        with closing(open_store(settings)) as store:
            standing = ownership.look(store, ours)
    except (DatabaseUnavailable, StoreUnavailable) as error:
        log.warning("cannot tell yet whose the model store is", error=str(error))
    else:
        if standing is Standing.EMPTY:
            ownership.require_none(store, named)
        log.info("model store", whose=standing.value, database_id=ours)
    finally:
        opened.engine.dispose()
