"""Who votes in an ensemble, and the pictures of a batch."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from configs.errors import NotFound
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import say
from launcher.terminal.session import session
from pipeline.ensembles.membership import members_in, no_report
from storage import ensembles
from storage.artifacts.opening import open_store

app = new_app()


@app.callback()
def callback() -> None:
    """Ask who votes in an ensemble, and fetch the pictures of a batch."""


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


@app.command(
    epilog=example(
        "deepcredit ensemble pictures 25", "deepcredit ensemble pictures 25 --into pictures"
    )
)
def pictures(
    ctx: typer.Context,
    batch_id: Annotated[int, typer.Argument(metavar="BATCH_ID", help="An ensemble batch.")],
    into: Annotated[
        Path | None,
        typer.Option(help="Copy them into this folder.", file_okay=False, metavar="FOLDER"),
    ] = None,
) -> None:
    """Say where the pictures of a batch lie, or copy them here."""

    def read(connection: Connection) -> tuple[ensembles.Picture, ...]:
        found = ensembles.pictures(connection, batch_id)
        if not found:
            raise NotFound(no_report(connection, batch_id))
        return found

    opened = session(ctx)
    found = opened.read(read)
    with closing(open_store(opened.settings)) as store:
        if into is None:
            places = [f"{store}/{picture.uri}".removeprefix("folder ") for picture in found]
        else:
            places = [str(into / f"E{batch_id}-{picture.name}.png") for picture in found]
            with _writing_into(into):
                into.mkdir(parents=True, exist_ok=True)
                for picture, place in zip(found, places, strict=True):
                    store.get(picture.uri, picture.sha256, Path(place))
    width = max(len(picture.name) for picture in found)
    for picture, place in zip(found, places, strict=True):
        say(f"{picture.name:<{width}}  {place}")  # no table, which would break a place in two


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise typer.BadParameter(
            f"{folder}: {error.strerror}; name a folder where you may write", param_hint="--into"
        ) from error
