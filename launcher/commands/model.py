"""Fill dc_model_list from a file, and list its variants."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from configs.errors import BadParameter, NotFound
from configs.meant import some
from configs.wording import counted
from launcher.terminal import modelfile
from launcher.terminal.console import Column, show
from launcher.terminal.exports import Format, FormatOption, export
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import note, say
from launcher.terminal.session import session
from models import kind, variants
from storage import model_list
from storage.records import ModelEntry

app = new_app()

_COLUMNS = (
    Column("model_group_id", "group", text=True),
    Column("model_no", "no"),
    Column("model_sub_no", "variant"),
    Column("model_id", "model", text=True),
    Column("use_yn", "use", text=True),
    Column("params", "parameters", prose=True, least=40),
    Column("model_desc", "description", prose=True, wide=True),
)


@app.callback()
def model() -> None:
    """Fill dc_model_list from a file, and list it with its variants."""


@app.command("load", epilog=example("deepcredit model load models.toml"))
def load_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="[[model]] tables.")],
) -> None:
    """Insert the models of a file. One whose model_no is there already is replaced; a note says so
    where it was in another group.

    Keys of a [[model]] table: model_no, model_id, model_group_id, and if you like model_desc,
    use_yn ("Y" or "N") and a table param with hyper-parameters, resampling, classWeight and grid.
    """
    entries = modelfile.read(file)

    def work(connection: Connection) -> dict[str, list[int]]:
        lost = model_list.moving(connection, entries)
        model_list.put(connection, entries)
        return lost

    for group, numbers in session(ctx).write(work).items():
        named = some([*map(str, numbers)], 20)
        note(f"group {group} has lost model_no {named} to the group that the file names")
    groups = sorted({entry.model_group_id for entry in entries})
    count = sum(len(modelfile.expand(entry)) for entry in entries)
    models, all_variants = counted(len(entries), "model"), counted(count, "variant")
    say(f"{models} with {all_variants} in {', '.join(groups)}")


@app.command("list", epilog=example("deepcredit model list --group M100"))
def list_(
    ctx: typer.Context,
    group: Annotated[str | None, typer.Option(help="Only this model group.")] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List the models with the variants that their grids expand to."""
    entries = session(ctx).read(lambda connection: model_list.listing(connection, group))
    write = _briefly if form is Format.TABLE else partial(json.dumps, ensure_ascii=False)
    rows = [row for entry in entries for row in _rows(entry, write)]
    if form is Format.TABLE:
        show(rows, _COLUMNS, empty="no model; fill the list with `deepcredit model load`")
    else:
        record = (field.name for field in fields(ModelEntry) if field.name != "model_param")
        export([*record, "model_sub_no", "params"], rows, form)


def _rows(entry: ModelEntry, write: Callable[[dict[str, Any]], str | None]) -> list[dict[str, Any]]:
    """One row a variant; a model whose parameters are wrong shows what is wrong with them."""
    columns = asdict(entry)
    try:
        expanded = modelfile.expand(entry)
    except (BadParameter, NotFound) as error:
        return [columns | {"model_sub_no": None, "params": f"error: {error}"}]
    return [
        columns | {"model_sub_no": variant.model_sub_no, "params": write(_telling(entry, variant))}
        for variant in expanded
    ]


def _briefly(params: dict[str, Any]) -> str | None:
    """The parameters in one text: name=value, name=value."""
    written = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in params.items())
    return ", ".join(written) or None


def _telling(entry: ModelEntry, variant: variants.Variant) -> dict[str, Any]:
    """What the row says, even where it is the default: a grid's variants must differ; and what
    follows from it that is not.
    """
    own = {
        "resampling": variant.resampling,
        "samplingStrategy": variant.sampling_strategy,
        "classWeight": variant.class_weight,
    }
    defaults = {**kind.find(entry.model_id).DEFAULTS, "resampling": "none"}
    named = variants.named(entry.model_param)
    return {
        name: value
        for name, value in (variant.params | own).items()
        if name in named or defaults.get(name) != value
    }
