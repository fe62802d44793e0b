"""Pause queues, and resume them."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from configs.errors import NotFound
from configs.meant import meant
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import note, say
from launcher.terminal.naming import queue_name
from launcher.terminal.session import session
from storage import queues, servers

app = new_app()

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="As in dc_batch.queue; the usual one is default.")
]


@app.callback()
def queue() -> None:
    """Pause queues, and resume them: the same as SQL on dc_queue."""


@app.command(epilog=example("deepcredit queue pause default"))
def pause(ctx: typer.Context, name: Name) -> None:
    """Let no server take batches of a queue; those that run go on. It may be paused before its
    first batch.
    """
    opened = session(ctx)
    queue_name(name)
    known = opened.read(_names)
    opened.write(lambda connection: queues.pause(connection, name))
    say(f"queue {name} is paused")
    if name not in known:
        note(f"no batch and no launcher has it; {_instead(name, known)}")


@app.command(epilog=example("deepcredit queue resume default"))
def resume(ctx: typer.Context, name: Name) -> None:
    """Let servers take batches of a queue again."""
    opened = session(ctx)
    known = sorted({*opened.read(_names), *opened.read(queues.paused)})
    if name not in known:
        raise NotFound(f"queue {name} is not known; {_instead(name, known)}")
    opened.write(lambda connection: queues.resume(connection, name))
    say(f"queue {name} goes on")


def _names(connection: Connection) -> list[str]:
    """The names of queues that a batch or a launcher has, and the usual one."""
    served = (queue for each in servers.listing(connection) for queue in each.queues)
    return sorted({"default", *queues.of_batches(connection), *served})


def _instead(name: str, known: list[str]) -> str:
    return f"{meant(name, known)}there are: {', '.join(known)}"
