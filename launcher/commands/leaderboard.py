"""Trained models, best first: valid and test side by side."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from configs.errors import WrongState
from launcher.terminal import model_table
from launcher.terminal.console import show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.naming import MOST_ROWS, dataset_name
from launcher.terminal.session import session
from storage import batches, datasets, leaderboard, results

app = new_app()


@app.command(
    epilog=example(
        "deepcredit leaderboard --dataset DATA001/1",
        "deepcredit leaderboard --metric ks --format csv > models.csv",
    )
)
def models(
    ctx: typer.Context,
    dataset: Annotated[
        str | None, typer.Option(help="Only models of this data set.", metavar="G/N")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Only models of this train batch.", metavar="ID")
    ] = None,
    metric: Annotated[str, typer.Option(help="What ranks them, on valid.")] = "auc",
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="How many.", metavar="N")] = 30,
    form: FormatOption = Format.TABLE,
) -> None:
    """List trained models, best first by a metric on the valid part.

    Test shows how well that choice holds on rows that played no part in it, of which "test bad/n"
    counts those of class 1 and all: the fewer, the less a figure says. csv and json have every
    metric.
    """
    named = dataset_name(dataset) if dataset is not None else None

    def read(connection: Connection) -> list[leaderboard.Row]:
        rows = leaderboard.models(
            connection,
            dataset=named,
            batch_id=batch,
            metric=metric,
            limit=limit,
        )
        if not rows:
            _require(connection, named, batch)
        return rows

    found = session(ctx).read(read)
    rows = model_table.rows(found)
    if form is not Format.TABLE:
        export(["rank", *leaderboard.MODEL_NAMES], rows, form)
        return
    columns, title = model_table.columns(metric, found), model_table.caution(found)
    show(rows, columns, title=title, empty="no trained model yet")


def _require(connection: Connection, dataset: tuple[str, int] | None, batch: int | None) -> None:
    """Raise where no model can ever be listed: there is no such data set or train batch, or the
    batch failed.
    """
    if dataset is not None:
        datasets.read(connection, *dataset)
    if batch is not None:
        results.require_train(connection, batch)
        found = batches.read(connection, batch)
        if found is not None and found.failure:
            raise WrongState(found.failure)
