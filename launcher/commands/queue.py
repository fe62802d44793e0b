"""Let a queue stand still, and go on."""

from typing import Annotated

import typer

from launcher.console import say
from launcher.folder import example, new_app
from launcher.session import session
from storage import queues

app = new_app()

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="As in dc_batch.queue; the usual one is default.")
]


@app.callback()
def queue() -> None:
    """Let a queue stand still, and go on: the same as SQL on dc_queue."""


@app.command(epilog=example("deepcredit queue pause default"))
def pause(ctx: typer.Context, name: Name) -> None:
    """Let no server take batches of a queue; those that run go on."""
    session(ctx).write(lambda connection: queues.pause(connection, name))
    say(f"queue {name} is paused")


@app.command(epilog=example("deepcredit queue resume default"))
def resume(ctx: typer.Context, name: Name) -> None:
    """Let servers take batches of a queue again."""
    session(ctx).write(lambda connection: queues.resume(connection, name))
    say(f"queue {name} goes on")
