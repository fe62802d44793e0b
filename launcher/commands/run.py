"""Run one batch here and now."""

import logging
from typing import Annotated

import typer

from configs import logs
from configs.errors import WrongState
from launcher.service.foreground import run_one
from launcher.terminal.console import progress
from launcher.terminal.durations import in_utc
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say
from launcher.terminal.naming import BatchId
from launcher.terminal.session import session
from storage import batches, identity
from storage.records import Batch

app = new_app()


@app.command(epilog=example("deepcredit run 123", "deepcredit run 123 --server-id SERVER_001"))
def run(
    ctx: typer.Context,
    batch_id: BatchId,
    server_id: Annotated[str, typer.Option(help="Id to run under, like a launcher's.")] = "run",
) -> None:
    """Run one batch here and now; exit 0 if it was completed, 1 if not. Ctrl-C gives it back."""
    opened = session(ctx)
    settings = opened.settings
    opened.read(identity.database_id)  # where tables of this version are missing, run nothing
    debug = ctx.find_root().params["debug"]
    logs.configure(settings, server_id=server_id, level=logging.WARNING, tracebacks=debug)
    with progress(f"batch {batch_id}") as bar:
        completed = run_one(
            settings,
            server_id,
            batch_id,
            watch=lambda message: bar(message.fraction, message.note),
        )
    ended = opened.read(lambda connection: batches.read(connection, batch_id))
    if not completed:
        raise WrongState(_why_not(batch_id, ended))
    note = ended and ended.progress_note
    say(f"batch {batch_id} completed" + (f": {note}" if note else ""))


def _why_not(batch_id: int, ended: Batch | None) -> str:
    if ended is not None and ended.failure:
        return ended.failure
    if ended is not None and ended.state == "I":
        return (
            f"batch {batch_id} was given back and waits; what it has finished is kept, and "
            f"`deepcredit run {batch_id}` or any launcher goes on with it"
        )
    if ended is not None and ended.state == "E":
        return (
            f"batch {batch_id} failed for now: {ended.error}; a launcher tries it again at "
            f"{in_utc(ended.run_after)}, or at once after `deepcredit batch retry {batch_id}`"
        )
    return f"batch {batch_id} did not complete; `deepcredit batch list` says how it stands"
