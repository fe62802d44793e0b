"""Load data sets, register tables, list, show and delete them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.wording import counted
from launcher.terminal.console import Column, progress, show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import note, remark, say
from launcher.terminal.naming import dataset_name
from launcher.terminal.session import session
from pipeline import datasets
from pipeline.roles import Choices
from storage import datasets as registered
from storage.records import Dataset, DatasetColumn

app = new_app()

_SETS = (
    Column("name", "data set", text=True),
    Column("n_rows", "rows"),
    Column("features", "features"),
    Column("positive_rate", "positive", digits=4),
    Column("target_column", "target", text=True),
    Column("table_name", "table", text=True),
    Column("content_sha256", "sha256", text=True, wide=True),
)
_COLUMNS = (
    Column("position", "#"),
    Column("column_name", "column", text=True),
    Column("role", "role", text=True),
    Column("kind", "kind", text=True),
    Column("missing_values", "missing values", prose=True),
)

Group = Annotated[str, typer.Option(help="Group, such as DATA001.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="Version; default: the next free one.", metavar="N")
]
Target = Annotated[
    str | None, typer.Option(help="Column to predict; without, none.", metavar="COL")
]
Positive = Annotated[
    str | None, typer.Option(help="Value of the target that means 1.", metavar="VALUE")
]
Id = Annotated[str | None, typer.Option("--id", help="Column that names each row.", metavar="COL")]
Time = Annotated[str | None, typer.Option("--time", help="Column of time.", metavar="COL")]
GroupColumn = Annotated[
    str | None, typer.Option("--group-column", help="Column for splitBy group.", metavar="COL")
]
Drop = Annotated[
    list[str] | None, typer.Option(help="Column to ignore; repeatable.", metavar="COL")
]
Sensitive = Annotated[
    list[str] | None,
    typer.Option(help="Column kept but never a feature; repeatable.", metavar="COL"),
]
Categorical = Annotated[
    list[str] | None,
    typer.Option(help="Column whose numbers are names; repeatable.", metavar="COL"),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(help="Values that mean missing; repeatable.", metavar="COL=96,98"),
]


@app.callback()
def dataset() -> None:
    """Load data sets from files, register tables, list, show and delete them."""


@app.command(
    epilog=example(
        "deepcredit dataset load taiwan.csv --group DATA001 --id ID \\",
        "    --target default_payment_next_month --missing PAY_0=96,98",
    )
)
def load(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV (UTF-8) or Parquet.")],
    group: Group,
    target: Target = None,
    version: Version = None,
    positive: Positive = None,
    id_column: Id = None,
    time_column: Time = None,
    group_column: GroupColumn = None,
    drop: Drop = None,
    sensitive: Sensitive = None,
    categorical: Categorical = None,
    missing: Missing = None,
) -> None:
    """Load a file as a data set, into a table of its own."""
    choices = _choices(ctx.params)
    make = partial(datasets.load_file, path=file, group=group, version=version, choices=choices)
    _make(ctx, f"loading {file.name}", make)


@app.command(
    epilog=example(
        "deepcredit dataset register --table applications_2024 --group DATA002 \\",
        "    --target arrears --positive yes --id application_id",
    )
)
def register(
    ctx: typer.Context,
    table: Annotated[str, typer.Option(help="Table or view that exists.")],
    group: Group,
    target: Target = None,
    version: Version = None,
    positive: Positive = None,
    id_column: Id = None,
    time_column: Time = None,
    group_column: GroupColumn = None,
    drop: Drop = None,
    sensitive: Sensitive = None,
    categorical: Categorical = None,
    missing: Missing = None,
) -> None:
    """Register a table or view as a data set. Nothing is copied."""
    choices = _choices(ctx.params)
    make = partial(
        datasets.register_table, table_name=table, group=group, version=version, choices=choices
    )
    _make(ctx, f"reading {table}", make)


@app.command("list", epilog=example("deepcredit dataset list"))
def list_(ctx: typer.Context, form: FormatOption = Format.TABLE) -> None:
    """List the registered data sets."""
    rows = [_row(each) for each in session(ctx).read(registered.listing)]
    if form is Format.TABLE:
        show(rows, _SETS, empty="no data set; load one with `deepcredit dataset load`")
    else:
        record = (field.name for field in fields(Dataset) if field.name != "columns")
        export(["name", "features", *record], rows, form)


@app.command(epilog=example("deepcredit dataset delete DATA001/1"))
def delete(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="G/N", help="Such as DATA001/1.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also if models of batches that ended need it.")
    ] = False,
) -> None:
    """Delete a data set, and its table if `dataset load` made it. Refused while a batch that has
    not ended needs it, or trained models need it.

    What was made of it stays: docs/operators.md says how to delete that.
    """
    group, version = dataset_name(name, "G/N")
    opened, told = session(ctx), list[str]()
    opened.read(registered.listing)  # a database without our tables is told of at once
    gone = datasets.delete(opened.engine, group, version, force=force, tell=told.append)
    say(f"data set {gone.name} is deleted, {counted(gone.n_rows, 'row')}")
    for line in told:
        note(line)


@app.command("show", epilog=example("deepcredit dataset show DATA001/1"))
def show_(
    ctx: typer.Context,
    group: Annotated[str, typer.Argument(metavar="G/N", help="Such as DATA001/1, or DATA001 1.")],
    version: Annotated[int | None, typer.Argument(metavar="N", help="Such as 1.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show a data set and its columns."""
    if version is None:
        group, version = dataset_name(group, "G/N")
    found = session(ctx).read(lambda connection: registered.read(connection, group, version))
    if form is Format.TABLE:
        show([_row(found)], _SETS)
        _show_columns(found)
    else:
        names = [field.name for field in fields(DatasetColumn)]
        export(names, (_column(asdict(column)) for column in found.columns), form)


def _choices(given: dict[str, Any]) -> Choices:
    """The parameters of a command that say what columns are, by their names."""
    named = {field.name: given[field.name] for field in fields(Choices)}
    lists = {name: tuple(given[name] or ()) for name in ("drop", "sensitive", "categorical")}
    return Choices(**named | lists | {"missing": _sentinels(given["missing"] or ())})


def _sentinels(given: list[str] | tuple[()]) -> dict[str, tuple[str, ...]]:
    """All values of each column, also of one that is named more than once."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, values = text.rpartition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not like COL=96,98", param_hint="--missing")
        found[name] = (*found.get(name, ()), *(value.strip() for value in values.split(",")))
    return found


def _make(ctx: typer.Context, words: str, make: Callable[..., Dataset]) -> None:
    """Make a data set, and say what it holds."""
    opened, told = session(ctx), list[str]()
    opened.read(registered.listing)  # a database without our tables is told of at once
    try:
        with progress(words, at_once=False) as bar:
            made = make(opened.engine, progress=bar, tell=told.append)
    except KeyboardInterrupt:
        remark("stopped: nothing was registered")
        raise typer.Exit(130) from None
    for line in told:
        note(line)
    kinds = Counter(column.kind for column in made.columns_of("feature"))
    features = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    size = f"{counted(made.n_rows, 'row')}, {counted(len(made.columns), 'column')}"
    say(f"{made.name}: {size}, features: {features}")
    if made.positive_rate is not None:
        say(f"{made.target_column}: {made.positive_rate:.4f} positive; table {made.table_name}")
    _show_columns(made)


def _show_columns(dataset: Dataset) -> None:
    """The kind is shown of features alone: of other columns it only says how values are stored."""
    rows = [
        row
        | {
            "kind": row["kind"] if row["role"] == "feature" else None,
            "missing_values": row["missing_values"] or None,
        }
        for row in (_column(asdict(column)) for column in dataset.columns)
    ]
    show(rows, _COLUMNS)


def _row(found: Dataset) -> dict[str, Any]:
    return {"name": found.name, "features": len(found.columns_of("feature"))} | asdict(found)


def _column(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"missing_values": ", ".join(record["missing_values"])}
