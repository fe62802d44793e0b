"""What a batch has found, model by model."""

from typing import Annotated, Any

import typer

from configs.errors import WrongState
from launcher.console import Column, Format, say, show
from launcher.folder import example, new_app
from launcher.session import Session, session
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
    Column("precision_score", "precision", digits=4, wide=True),
    Column("recall_score", "recall", digits=4, wide=True),
    Column("brier", "brier", digits=4, wide=True),
    Column("tn", "tn"),
    Column("fp", "fp"),
    Column("fn", "fn"),
    Column("tp", "tp"),
    Column("threshold", "threshold", digits=3, wide=True),
)
_FAILED = (
    Column("model", "no/sub"),
    Column("model_id", "model", text=True),
    Column("error", "error", prose=True),
)
_ENSEMBLES = (
    Column("rank_no", "#"),
    Column("ensemble_no", "ensemble"),
    Column("valid_f1_score", "valid f1", digits=4),
    Column("test_f1_score", "test f1", digits=4),
    Column("valid_accuracy", "valid accuracy", digits=4, wide=True),
    Column("test_accuracy", "test accuracy", digits=4, wide=True),
    Column("test_tn", "test tn"),
    Column("test_fp", "fp"),
    Column("test_fn", "fn"),
    Column("test_tp", "tp"),
)


METHODS = """\
methods, the answer first, then by valid; from and to: the interval of test;
gain: over the best single model on the same rows of test"""


@app.command(
    epilog=example("deepcredit results 123", "deepcredit results 123 --format csv > results.csv")
)
def results(
    ctx: typer.Context,
    batch_id: Annotated[int, typer.Argument(metavar="ID", help="batch_id of the batch.")],
    limit: Annotated[int, typer.Option(min=1, help="How many ensembles.")] = 20,
    form: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """Show what a batch has found so far: metrics of its models, or its best ensembles."""
    opened = session(ctx)
    rows = opened.read(lambda connection: leaderboard.results(connection, batch_id))
    ensembles = opened.read(lambda c: leaderboard.ensembles(c, batch_id, limit=limit))
    if ensembles:
        _show_ensembles(opened, batch_id, ensembles, form)
    elif form is not Format.TABLE:
        show(rows, [Column(name, name) for name in ("batch_id", "model_no", "model_sub_no")], form)
    else:
        good = [_row(row) for row in rows if row["state"] == "C"]
        failed = [_row(row) for row in rows if row["state"] == "E"]
        batch = None if good else opened.read(lambda connection: batches.read(connection, batch_id))
        failure = batch and batch.failure
        if not failure:
            show(good, _MODELS, empty=f"batch {batch_id} has no results yet")
        if failed:
            show(failed, _FAILED, title="failed:")
        if failure:
            raise WrongState(failure)


def method_columns(metric: str) -> tuple[Column, ...]:
    """The columns of a table of methods."""
    name = metric.removesuffix("_score")
    return (
        Column("method", "method", text=True),
        Column("answer", "", text=True),
        Column("n_models", "models", wide=True),
        Column(f"valid_{metric}", f"valid {name}", digits=4),
        Column(f"test_{metric}", f"test {name}", digits=4),
        Column("test_low", "from", digits=4, wide=True),
        Column("test_high", "to", digits=4, wide=True),
        Column("test_gain", "gain", digits=4),
        Column("test_gain_low", "gain from", digits=4, wide=True),
        Column("test_gain_high", "gain to", digits=4, wide=True),
        Column("test_auc", "test auc", digits=4, wide=True),
    )


def method_rows(methods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for a table of methods."""
    return [row | {"answer": "answer" if row["chosen"] else ""} for row in methods]


def _show_ensembles(
    opened: Session, batch_id: int, ensembles: list[dict[str, Any]], form: Format
) -> None:
    if form is not Format.TABLE:
        show(ensembles, _ENSEMBLES, form)
        return
    methods = opened.read(lambda connection: leaderboard.methods(connection, batch_id))
    if methods:
        columns = method_columns(methods[0]["metric"])
        show(method_rows(methods), columns, title=METHODS)
        say("")
    show(ensembles, _ENSEMBLES, title="the best ensembles, by valid:")
    say(f"\npictures: deepcredit ensemble pictures {batch_id}")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    lines = (row["error_text"] or "").strip().splitlines() or [""]
    return row | {"model": f"{row['model_no']}/{row['model_sub_no']}", "error": lines[-1]}
