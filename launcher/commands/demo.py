"""The whole way once: data, models, ensembles, results."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.demo import course
from launcher.demo.steps import Source
from launcher.terminal.folder import example, new_app
from launcher.terminal.session import session
from pipeline.roles import Choices

app = new_app()


@app.command(
    epilog=example(
        "deepcredit demo",
        "deepcredit demo --csv loans.csv --target arrears --positive yes --id loan_no",
    )
)
def demo(
    ctx: typer.Context,
    csv: Annotated[
        Path | None, typer.Option(help="Your own CSV or Parquet file.", metavar="FILE")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.", metavar="COL")] = None,
    positive: Annotated[
        str | None, typer.Option(help="Value of the target that means 1.", metavar="VALUE")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column that names each row.", metavar="COL")
    ] = None,
    rows: Annotated[
        int, typer.Option(min=300, help="How many made-up applicants.", metavar="N")
    ] = 5000,
) -> None:
    """Load data, train, predict, search ensembles and show what was found, in a few minutes.

    Uses the database and model store of the settings; without settings, files below var/. Its
    batches have a queue of their own, demo; it runs no others.
    """
    if (csv is None) != (target is None):
        raise typer.BadParameter("--csv and --target go together", param_hint="--csv")
    if csv is not None and not csv.exists():  # else tables would be made first
        raise typer.BadParameter(f"there is no file {csv}", param_hint="--csv")
    choices = Choices(target=target, positive=positive, id_column=id_column)
    own = Source(path=csv, choices=choices) if csv is not None else None
    course.run(session(ctx), own, rows)
