"""Pause servers, and resume them."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from configs.errors import NotFound
from configs.meant import meant
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import note, say
from launcher.terminal.session import session
from storage import servers

app = new_app()

ServerId = Annotated[
    str, typer.Argument(metavar="SERVER_ID", help="As the launcher was started: SERVER_001.")
]


@app.callback()
def server() -> None:
    """Pause servers, and resume them: the same as SQL on dc_server."""


@app.command(epilog=example("deepcredit server pause SERVER_002"))
def pause(ctx: typer.Context, server_id: ServerId) -> None:
    """Let a server take nothing new; what it runs goes on. A restart does not end the pause."""
    if not server_id.strip():
        raise typer.BadParameter("a server has a name, such as SERVER_001", param_hint="SERVER_ID")

    def work(connection: Connection) -> list[str]:
        names = _names(connection)
        servers.pause(connection, server_id)
        return names

    names = session(ctx).write(work)
    if server_id in names:
        say(f"{server_id} is paused")
        return
    say(f"{server_id} is not known yet; it starts paused")
    if hint := meant(server_id, names):
        note(f"{hint}there are: {', '.join(names)}")


@app.command(epilog=example("deepcredit server resume SERVER_002"))
def resume(ctx: typer.Context, server_id: ServerId) -> None:
    """Let a paused server take batches again."""

    def work(connection: Connection) -> None:
        names = _names(connection)
        if server_id not in names:
            there = f"there are: {', '.join(names)}" if names else "there are none"
            raise NotFound(f"server {server_id} is not known; {meant(server_id, names)}{there}")
        servers.resume(connection, server_id)

    session(ctx).write(work)
    say(f"{server_id} takes batches again")


def _names(connection: Connection) -> list[str]:
    return [each.serve_server_id for each in servers.listing(connection)]
