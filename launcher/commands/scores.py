"""Which row, and so which applicant, got which score."""

from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.wording import counted
from launcher.host.private import private_file
from launcher.terminal.console import Column, show
from launcher.terminal.exports import Format, FormatOption, export, write_csv
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say
from launcher.terminal.naming import model_key
from launcher.terminal.session import session
from pipeline.score_list import ScoreList, read_scores
from storage.artifacts.opening import open_store
from storage.cache import open_cache
from storage.records import SplitName

app = new_app()

_SHOWN = 20
_DIGITS = {"score": 4, "mean": 4, "threshold": 4}


@app.command(
    epilog=example(
        "deepcredit scores 123",
        "deepcredit scores 123 --model 101/2 --to scores.csv",
    )
)
def scores(
    ctx: typer.Context,
    batch_id: Annotated[
        int, typer.Argument(metavar="ID", help="batch_id of a predict or train batch.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Which of several models: model_no and model_sub_no.", metavar="NO/SUB"),
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option(
            help="Which part of the rows; default: test, if there is one.", show_default=False
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="Write CSV here, for you alone to read.", dir_okay=False, metavar="FILE"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also in place of a file that is there.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show which row got which score, and which are called 1.

    A row has the data set's id (row_no, its number from 1, where that has none), the score, the
    threshold, whether the row is called 1, and the target if it is known. An ensemble's score is
    that of its method; mean is the members' mean score, and votes counts the rounds or models that
    say 1.
    """
    if to is not None and form is Format.JSON:
        raise typer.BadParameter("it writes CSV; --format json prints", param_hint="--to")
    if to is not None and to.exists() and not to.is_file():
        raise typer.BadParameter(f"{to} is no file; name one", param_hint="--to")
    if to is not None and to.exists() and not force:
        raise typer.BadParameter(
            f"{to} is there already; name another file, or say --force", param_hint="--to"
        )
    opened = session(ctx)
    key = model_key(model) if model is not None else None
    with closing(open_store(opened.settings)) as store, closing(open_cache(opened.settings)) as c:
        found = read_scores(batch_id, key, split, read=opened.read, store=store, cache=c)
    names = [*found.columns]
    rows = zip(*found.columns.values(), strict=True)
    if to is not None:
        _write(to, names, rows)
        say(f"{to}: {_summary(found)}")
        return
    named = (dict(zip(names, row, strict=True)) for row in rows)
    if form is Format.TABLE:
        columns = [Column(name, name, digits=_DIGITS.get(name)) for name in names]
        show([*islice(named, _SHOWN)], columns)
        more = f"the first {_SHOWN} of " if len(found.columns["called"]) > _SHOWN else ""
        say(f"{more}{_summary(found)}")
    else:
        export(names, named, form)


def _summary(found: ScoreList) -> str:
    called = found.columns["called"]
    dataset = found.dataset
    by_columns = "all its columns, as the data set has no id column"
    order = "the file that was loaded" if dataset.order_column else by_columns
    named = "" if dataset.id_column else f"; row_no counts them in the order of {order}"
    part = "" if found.split == "all" else f" of {found.split}"
    return f"{counted(len(called), 'row')}{part} of {dataset.name}; {sum(called):,} called 1{named}"


def _write(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    try:
        with private_file(path) as file:
            write_csv(names, rows, file)
    except OSError as error:
        raise typer.BadParameter(
            f"{path}: {error.strerror}; name a file that can be written", param_hint="--to"
        ) from error
