"""Compare the model store with the database."""

from contextlib import closing
from typing import Annotated

import typer

from configs.wording import counted
from launcher.terminal.console import progress
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import complain, say
from launcher.terminal.session import Session, session
from pipeline import ownership
from pipeline.orphans import Orphan
from pipeline.upkeep import Findings, remove, survey
from storage import identity
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store

app = new_app()

_SHOWN = 20


@app.callback()
def store() -> None:
    """Compare the model store with the database, and say whose it is."""


@app.command(epilog=example("deepcredit store check", "deepcredit store check --delete"))
def check(
    ctx: typer.Context,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove the files that nobody needs.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help=f"List all files, not only the first {_SHOWN} of a kind.")
    ] = False,
) -> None:
    """Compare the files of the store with the database. Says which files the database names and
    the store does not have (then exit 1), and which nobody needs: left by runs that died, by
    batches that were deleted or pruned, or by uploads that never ended.

    Launchers may be at work meanwhile. Files that are not named as ours are left alone. A store
    that another database has marked is refused; one that bears no mark is only looked at.
    """
    opened = session(ctx)
    limit = None if everything else _SHOWN
    with closing(open_store(opened.settings)) as place:
        ours = opened.read(identity.database_id)
        ask = ownership.require if delete else ownership.look
        ask(place, ours)
        found = survey(place, opened.read)
        _tell(found, limit)
        if delete:
            ownership.require(place, ours)  # an empty store may have been taken meanwhile
            _delete(found.sorted.orphans, place, opened)
        elif found.sorted.orphans:
            say("`deepcredit store check --delete` removes what is not needed")
    if found.missing:
        say("restore what is missing from a backup, or run its batch again (models/T12: batch 12)")
        raise typer.Exit(1)


@app.command(epilog=example("deepcredit store adopt", f"deepcredit store adopt --from {'0' * 32}"))
def adopt(
    ctx: typer.Context,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="ID",
            help="Take it from the database of this id; repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Mark the model store as this database's. Then files may be deleted there.

    The first batch does so with an empty store. This is for one that others have filled: a copy
    without its mark, or the store of a database whose place this one takes.
    """
    opened = session(ctx)
    ours = opened.read(identity.database_id)
    with closing(open_store(opened.settings)) as place:
        ownership.adopt(place, ours, where=opened.engine.url, instead_of=from_ or ())
        say(f"{place} belongs to this database, {ours}")


def _tell(found: Findings, limit: int | None) -> None:
    say(f"{counted(found.files, 'file')}, {_megabytes(found.bytes)}")
    for uri in found.missing[:limit]:
        complain(f"missing: {_printable(uri)}")
    _rest(found.missing, limit, "missing")
    orphans = found.sorted.orphans
    for orphan in orphans[:limit]:
        words = f"{orphan.why.value}: {_printable(orphan.uri)}, {_megabytes(orphan.bytes)}"
        say(words)
    _rest(orphans, limit, "not needed")
    size = _megabytes(sum(orphan.bytes for orphan in orphans))
    say(f"{len(found.missing)} missing; {len(orphans)} not needed, {size}")
    if found.sorted.in_use:
        say(f"{len(found.sorted.in_use)} more may be in use by what runs now")
    if found.sorted.foreign:
        first = _printable(found.sorted.foreign[0])
        say(f"{len(found.sorted.foreign)} not ours, left alone, such as {first}")


def _delete(orphans: tuple[Orphan, ...], place: Store, opened: Session) -> None:
    removed = size = 0
    with progress("deleting") as bar:
        for number, orphan in enumerate(orphans, 1):
            if remove(place, orphan, opened.read):
                removed, size = removed + 1, size + orphan.bytes
            bar(number / len(orphans), counted(removed, "file"))
    say(f"{removed} deleted, {_megabytes(size)}")
    if removed < len(orphans):
        say(f"{len(orphans) - removed} kept: a batch began to run that may use such files")


def _rest(files: tuple[object, ...], limit: int | None, what: str) -> None:
    if limit is not None and len(files) > limit:
        say(f"... and {len(files) - limit} more {what}; --all lists them")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _printable(uri: str) -> str:
    """A foreign file may have any bytes as its name."""
    return uri.encode("utf-8", "backslashreplace").decode("utf-8")
