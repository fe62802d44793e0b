"""Ask who votes in an ensemble."""

import json
from typing import Annotated

import typer

from launcher.console import say
from launcher.folder import example, new_app
from launcher.session import session
from pipeline.membership import members_in

app = new_app()


@app.callback()
def callback() -> None:
    """Ask who votes in an ensemble."""


@app.command(epilog=example("deepcredit ensemble members 25 987654"))
def members(
    ctx: typer.Context,
    batch_id: Annotated[int, typer.Argument(metavar="BATCH_ID", help="An ensemble batch.")],
    ensemble_no: Annotated[
        int, typer.Argument(metavar="ENSEMBLE_NO", help="Any of its ensembles, stored or not.")
    ],
) -> None:
    """Print the members of an ensemble as JSON, a list for each round.

    A member is [batch_id, model_no, model_sub_no].
    """
    rounds = session(ctx).read(lambda connection: members_in(connection, batch_id, ensemble_no))
    lines = ",\n ".join(json.dumps(chosen) for chosen in rounds)
    say(f"[{lines}]")
