"""Check this installation, and say what to do."""

from enum import Enum
from typing import Annotated

import typer

from launcher.terminal.console import show_beside
from launcher.terminal.diagnosis import examine
from launcher.terminal.findings import Level
from launcher.terminal.folder import example, new_app
from launcher.terminal.launcher_findings import hear
from launcher.terminal.session import session

app = new_app()


class Role(Enum):
    """Whose rights on the database are looked for."""

    LAUNCHER = "launcher"
    OPERATOR = "operator"
    READER = "reader"


@app.command(
    epilog=example(
        "deepcredit doctor",
        "deepcredit doctor --role reader",
        "deepcredit doctor --launcher SERVER_001",
    )
)
def doctor(
    ctx: typer.Context,
    role: Annotated[
        Role, typer.Option(help="Whose rights on the database to look for.")
    ] = Role.LAUNCHER,
    launcher: Annotated[
        str | None,
        typer.Option(help="Only look whether this launcher is at work.", metavar="SERVER_ID"),
    ] = None,
) -> None:
    """Check settings, database, model store, clock, disk, Dask and GPUs; exit 1 on a FAIL."""
    worst = False
    ours = session(ctx)
    for found in examine(ours, role.value) if launcher is None else [hear(ours, launcher)]:
        show_beside(f"{found.level.value:<4}  {found.subject:<11}  ", found.text)
        worst = worst or found.level is Level.FAIL
    raise typer.Exit(1 if worst else 0)
