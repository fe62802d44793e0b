"""Candidate lists: the models that ensembles draw from."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from configs.wording import counted
from launcher.terminal.console import Column, show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import note, say
from launcher.terminal.session import session
from pipeline.ensembles.candidates import doubts
from storage import candidates

app = new_app()

_LISTS = (
    Column("candidate_id", "list", text=True),
    Column("models", "models"),
    Column("trained", "trained"),
)
_MODELS = (
    Column("batch_id", "batch"),
    Column("model_no", "no"),
    Column("model_sub_no", "sub"),
    Column("trained", "trained", text=True),
)


@app.callback()
def callback() -> None:
    """Fill and show candidate lists: the models that ensembles draw from."""


@app.command(
    epilog=example(
        "deepcredit candidates add C001 --from-batch 12",
        "deepcredit candidates add C001 --from-batch 12 --top 374 --by auc",
    )
    + "\n\nThe same in SQL: docs/ensembles.md."
)
def add(
    ctx: typer.Context,
    candidate_id: Annotated[str, typer.Argument(metavar="LIST", help="candidate_id, new or old.")],
    from_batch: Annotated[int, typer.Option(help="Train batch to take models from.", metavar="ID")],
    top: Annotated[int | None, typer.Option(min=1, help="Only the best N.", metavar="N")] = None,
    by: Annotated[str, typer.Option(help="Metric on valid that says which are best.")] = "auc",
) -> None:
    """Add the trained models of a batch to a list.

    Models that are on it already stay. Says if models of several splits are on it now, of which no
    ensemble can be made, or equal models of several batches, which count more than once.
    """
    if not candidate_id.strip():
        raise typer.BadParameter("a list has a name, such as C001", param_hint="LIST")
    found = session(ctx).read(lambda c: candidates.best(c, from_batch, metric=by, top=top))
    new = session(ctx).write(lambda c: candidates.add(c, candidate_id, found))
    known = f", {len(found) - new:,} on it already" if new < len(found) else ""
    say(f"{candidate_id}: {counted(new, 'model')} added{known}")
    _note_doubts(ctx, candidate_id)


@app.command(
    "list", epilog=example("deepcredit candidates list", "deepcredit candidates list C001")
)
def list_(
    ctx: typer.Context,
    candidate_id: Annotated[
        str | None, typer.Argument(metavar="LIST", help="Show the models of this list.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the candidate lists, or the models of one.

    Says which are trained: an ensemble batch fails if one of its list is not trained, or is gone.
    Of one list it notes what `candidates add` does.
    """
    if candidate_id is None:
        lists = session(ctx).read(candidates.lists)
        _print(lists, _LISTS, form)
    else:
        _print(session(ctx).read(partial(_models, candidate_id=candidate_id)), _MODELS, form)
        _note_doubts(ctx, candidate_id)


def _note_doubts(ctx: typer.Context, candidate_id: str) -> None:
    for doubt in session(ctx).read(lambda c: doubts(c, candidate_id)):
        note(doubt)


def _models(connection: Connection, candidate_id: str) -> list[tuple[Any, ...]]:
    listed = candidates.names(connection, candidate_id)
    there = candidates.trained(connection, listed)
    return [(*name, "yes" if name in there else "no") for name in listed]


def _print(found: Iterable[Sequence[Any]], columns: Sequence[Column], form: Format) -> None:
    names = [column.name for column in columns]
    rows = [dict(zip(names, row, strict=True)) for row in found]
    if form is Format.TABLE:
        show(rows, columns, empty="no list; make one with `deepcredit candidates add`")
    else:
        export(names, rows, form)
