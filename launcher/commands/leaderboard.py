"""Trained models, best first: valid and test side by side."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer
from sqlalchemy import Connection

from configs.errors import WrongState
from launcher.terminal.console import Column, Format, show
from launcher.terminal.folder import example, new_app
from launcher.terminal.naming import dataset_name
from launcher.terminal.session import session
from storage import batches, datasets, leaderboard, results

app = new_app()


def columns(metric: str, rows: Sequence[leaderboard.Row]) -> tuple[Column, ...]:
    """Columns of a table ranked by a metric; of several data sets it always names each row's."""
    several = len({row["dataset"] for row in rows}) > 1
    beside = [name for name in ("auc", "ks", "f1_score") if name != metric][:2]
    measured = [
        Column(f"{split}_{name}", f"{split} {name.removesuffix('_score')}", digits=4)
        for name in (metric, *beside)
        for split in ("valid", "test")
    ]
    return (
        Column("rank", "#"),
        Column("model_id", "model", text=True),
        Column("batch_id", "batch"),
        Column("model", "no/sub"),
        *measured[:2],
        Column("test", "test bad/n"),
        *(replace(column, wide=True) for column in measured[2:]),
        Column("threshold", "threshold", digits=3, wide=True),
        Column("fit_seconds", "fit s", digits=1, wide=True),
        Column("device", "device", text=True, wide=True),
        Column("dataset", "data set", prose=True, wide=not several),
    )


def ranked(found: Sequence[leaderboard.Row]) -> list[leaderboard.Row]:
    """Rows of that table."""
    return [
        {"rank": rank, "model": f"{row['model_no']}/{row['model_sub_no']}", "test": _tested(row)}
        | row
        for rank, row in enumerate(found, start=1)
    ]


def _tested(row: leaderboard.Row) -> str | None:
    """How many cases of class 1 there are among how many rows of test."""
    counts = row["test_fn"], row["test_tp"]
    return None if None in counts else f"{sum(counts)}/{row['test_n_rows']}"


def caution(found: Sequence[leaderboard.Row]) -> str | None:
    """What to say before a table whose models may not all have been tested on the same rows: from
    the best on few rows to the best on many is no step down.
    """
    tested = {row["split_id"]: row["test_n_rows"] or 0 for row in found}
    if len(tested) < 2:
        return None
    few, many = min(tested.values()), max(tested.values())
    rows = f"{few:,} to {many:,} rows" if few < many else f"{many:,} rows each"
    return (
        f"these models are of {len(tested)} splits (tested on {rows}); figures compare where both "
        "have set aside the same rows, as within a batch: --batch ID lists models of one"
    )


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
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
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
            dataset="{}/{}".format(*named) if named else None,
            batch_id=batch,
            metric=metric,
            limit=limit,
        )
        if not rows:
            _require(connection, named, batch)
        return rows

    found = session(ctx).read(read)
    rows = ranked(found)
    if form is not Format.TABLE:
        rows = [{"rank": row["rank"]} | original for row, original in zip(rows, found, strict=True)]
    show(rows, columns(metric, found), form, title=caution(found), empty="no trained model yet")


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
