"""Servers, what each runs, queues, and the last errors."""

import sys
from typing import Annotated

import typer
from rich.console import RenderableType

from launcher.service.heartbeat import latest
from launcher.terminal.console import console
from launcher.terminal.dashboard import page, watch
from launcher.terminal.folder import example, new_app
from launcher.terminal.session import session
from storage import overview

app = new_app()

_PLAIN_WIDTH = 80  # where there is no terminal


@app.command(epilog=example("deepcredit status", "deepcredit status --once"))
def status(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
    every: Annotated[
        float, typer.Option(min=0.2, max=3600, help="How often to look.", metavar="SECONDS")
    ] = 2,
) -> None:
    """Show servers, what each runs, queues, what waits longest, and final errors of the last day.

    On a terminal it is shown again and again until q or Ctrl-C; elsewhere once.
    """
    opened = session(ctx)
    lease = opened.settings.lease_seconds

    def draw(width: int, height: int | None = None) -> RenderableType:
        return page(
            opened.read(overview.read),
            database=opened.database,
            width=width,
            height=height,
            late_after=latest(lease),
            silent_after=lease,
        )

    output = console()
    if once or not output.is_terminal:
        output.print(draw(output.width if output.is_terminal else _PLAIN_WIDTH))
        return
    try:
        watch(draw, output, every=every, keys=sys.stdin.isatty())
    except KeyboardInterrupt:
        return
