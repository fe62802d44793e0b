"""What a batch has found, model by model."""

from functools import partial
from typing import Annotated, Any

import typer

from configs.errors import WrongState
from launcher.terminal.console import Column, show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say
from launcher.terminal.method_table import show_methods
from launcher.terminal.naming import MOST_ROWS, BatchId
from launcher.terminal.session import Session, session
from storage import batches, leaderboard

app = new_app()

_MODELS = (
    Column("model", "no/sub"),
    Column("model_id", "model", text=True),
    Column("split", "split", text=True),
    Column("n_rows", "rows"),
    Column("auc", "auc", digits=4),
    Column("ks", "ks", digits=4),
    Column("f1_score", "f1", digits=4),
    Column("psi", "psi", digits=3, wide=True),
    Column("tn", "tn", wide=True),
    Column("fp", "fp", wide=True),
    Column("fn", "fn", wide=True),
    Column("tp", "tp", wide=True),
    Column("precision_score", "precision", digits=4, wide=True),
    Column("recall_score", "recall", digits=4, wide=True),
    Column("brier", "brier", digits=4, wide=True),
    Column("threshold", "threshold", digits=3, wide=True),
)
_FAILED = (
    Column("model", "no/sub"),
    Column("model_id", "model", text=True),
    Column("error", "error", prose=True),
)
_COMPARED = 1000
"""So many of the best are looked at for equal ones: what a batch keeps unless told otherwise."""


@app.command(
    epilog=example("deepcredit results 123", "deepcredit results 123 --format csv > results.csv")
)
def results(
    ctx: typer.Context,
    batch_id: BatchId,
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            max=MOST_ROWS,
            help="How many ensembles; a table shows equal ones once.",
            metavar="N",
        ),
    ] = 20,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show what a batch has found so far: metrics of its models, or its best ensembles."""
    opened = session(ctx)
    models = opened.read(lambda connection: leaderboard.results(connection, batch_id))
    most = max(limit, _COMPARED) if form is Format.TABLE else limit
    ensembles = opened.read(lambda c: leaderboard.ensembles(c, batch_id, limit=most))
    if form is not Format.TABLE:
        batch = opened.read(partial(batches.existing, batch_id=batch_id))
        if ensembles or (batch.mode == "ensemble" and not models):
            export(leaderboard.ENSEMBLE_NAMES, ensembles, form)
        else:
            export(leaderboard.RESULT_NAMES, models, form)
    elif ensembles:
        _show_ensembles(opened, batch_id, ensembles, limit)
    else:
        _show_models(opened, batch_id, models)


def _show_models(opened: Session, batch_id: int, models: list[dict[str, Any]]) -> None:
    """Raises WrongState: the batch failed before any model was good."""
    good = [_row(row) for row in models if row["state"] == "C"]
    failed = [_row(row) for row in models if row["state"] == "E"]
    batch = None if good else opened.read(lambda connection: batches.read(connection, batch_id))
    failure = batch and batch.failure
    if not failure:
        compared = any(row["psi"] is not None for row in good)
        columns = [each for each in _MODELS if each.name != "psi" or compared]
        show(good, columns, empty=f"batch {batch_id} has no results yet")
    if failed:
        show(failed, _FAILED, title="failed:")
    if failure:
        raise WrongState(failure)


def _of_ensembles(metric: str) -> tuple[Column, ...]:
    """Columns of ensembles that a metric ranks."""
    beside = "f1_score" if metric == "accuracy" else "accuracy"
    measured = [
        Column(f"{split}_{name}", f"{split} {name.removesuffix('_score')}", digits=4, wide=wide)
        for name, wide in ((metric, False), (beside, True))
        for split in ("valid", "test")
    ]
    return (
        Column("rank_no", "#"),
        Column("ensemble_no", "ensemble"),
        Column("alike", "alike"),
        *measured,
        Column("test_tn", "test tn"),
        Column("test_fp", "fp"),
        Column("test_fn", "fn"),
        Column("test_tp", "tp"),
    )


def _alike(ensembles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the first of ensembles with the same figures, with the number of all of them."""
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in ensembles:
        figures = tuple(row[name] for name in row if name not in ("rank_no", "ensemble_no"))
        first.setdefault(figures, row | {"alike": 0})["alike"] += 1
    return list(first.values())


def _show_ensembles(
    opened: Session, batch_id: int, ensembles: list[dict[str, Any]], lines: int
) -> None:
    methods = opened.read(lambda connection: leaderboard.methods(connection, batch_id))
    if methods:
        show_methods(methods)
        say("")
    metric = methods[0]["metric"] if methods else "f1_score"
    title = (
        f"the best ensembles, by {metric} on valid;\n"
        f"alike: how many of the best {len(ensembles):,} have the figures of the one named"
    )
    show(_alike(ensembles)[:lines], _of_ensembles(metric), title=title)
    say(f"\npictures: deepcredit ensemble pictures {batch_id}")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    lines = (row["error_text"] or "").strip().splitlines() or [""]
    return row | {"model": f"{row['model_no']}/{row['model_sub_no']}", "error": lines[-1]}
