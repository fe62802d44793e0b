"""The daemon: claims batches and runs them."""

import json
import subprocess
from typing import Annotated

import structlog
import typer

from configs import errors, logs
from configs.errors import ChildLost, DeepCreditError
from configs.settings import Settings, without_secrets
from launcher.host import python
from launcher.service.daemon import Daemon
from launcher.service.notify import Notifier
from launcher.service.profile import Profile
from launcher.terminal.folder import example, new_app
from launcher.terminal.session import session
from pipeline.messages import Failed, Finished, Malformed, decode
from storage.cache import open_cache

app = new_app()

_LOOK = python.module("launcher.store_main")

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
    settings = session(ctx).settings
    logs.configure(settings, server_id=server_id)
    open_cache(settings).check()  # or all batches would fail
    _look_at_store(settings)
    if metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": metrics_port})
    profile = Profile(
        server_id=server_id,
        slots=slots,
        tags=tuple(tag or ()),
        queues=tuple(queue or ("default",)),
    )
    daemon = Daemon(settings, profile, drain=drain, spare=not drain, notifier=Notifier())
    raise typer.Exit(daemon.run())


def _look_at_store(settings: Settings) -> None:
    """Each batch looks, too; but a launcher with another's store, or with a disk that is not
    mounted, would fail them all.

    Raises:
        StoreNotOurs: the model store is another database's.
        StoreUnavailable: it is empty, and should not be.
        ChildLost: the process that was to look at it died.
    """
    # Not to be waited for: what does not answer now may do so when a batch needs it.
    hurried = settings.model_copy(update={"store_patience_seconds": 0})
    looked = subprocess.run(
        _LOOK,
        input=json.dumps(without_secrets(hurried)).encode() + b"\n",
        stdout=subprocess.PIPE,
        env=python.environment(),
        start_new_session=True,
        check=False,
    )
    try:
        told = decode(looked.stdout)
    except Malformed:
        raise ChildLost(
            f"the process that was to look at the model store ended with exit code "
            f"{looked.returncode}; what it printed says why"
        ) from None
    match told, looked.returncode:
        case Finished(whose), _:
            log.info("model store", whose=whose)
        case Failed(error_text=why), 0:
            log.warning("cannot tell yet whose the model store is", error=why)
        case Failed(error_class, why), _:
            raise getattr(errors, error_class, DeepCreditError)(why)
