"""Create, migrate, check and prune the database."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from configs.wording import counted
from launcher.terminal.console import progress
from launcher.terminal.durations import seconds_of
from launcher.terminal.folder import example, new_app
from launcher.terminal.lines import complain, say
from launcher.terminal.session import Session, session
from storage import grants as roles
from storage import housekeeping, migrate
from storage.engine import make_engine, require_a_file

app = new_app()

_UPGRADE_SECONDS = 24 * 60 * 60.0  # an index of a large table takes as long as it takes
_PAUSE_SECONDS = 0.05  # between transactions, so that launchers are served first


@app.callback()
def db() -> None:
    """Create or migrate the database, check it, print its grants, remove what is old."""


@app.command(epilog=example("deepcredit db upgrade"))
def upgrade(ctx: typer.Context) -> None:
    """Create the tables and views, or bring them to this version. Safe to repeat; rows stay."""
    opened = session(ctx)
    say(f"database {opened.database}")
    engine = make_engine(opened.settings, timeout_seconds=_UPGRADE_SECONDS)
    try:
        migrate.upgrade(engine, say)
    finally:
        engine.dispose()


@app.command(epilog=example("deepcredit db check"))
def check(ctx: typer.Context) -> None:
    """Compare the live schema with the code. Exit 1 and say what differs, if anything does."""
    opened = session(ctx)
    require_a_file(opened.engine)
    differences = migrate.check(opened.engine)
    for line in differences:
        complain(line)
    if differences:
        raise typer.Exit(1)
    say(f"the schema is that of version {migrate.head()}")


@app.command(epilog=example("deepcredit db grants | mariadb -u root"))
def grants(
    ctx: typer.Context,
    database: Annotated[
        str | None, typer.Option(help="Name of the database; default: that of the settings.")
    ] = None,
) -> None:
    """Print GRANT statements for operators, launchers and readers. Nothing is run."""
    url = session(ctx).engine.url
    if database is None:
        if url.get_backend_name() == "sqlite":
            raise typer.BadParameter(
                "SQLite has no roles; name the MariaDB database", param_hint="--database"
            )
        database = url.database or ""
    for statement in roles.grants(database):
        say(f"{statement};")
    for role, purpose in roles.ROLES.items():
        say(f"\n-- {role}: {purpose}. To give it to an account:")
        for statement in roles.how_to_give(role):
            say(f"--   {statement};")


@app.command(
    epilog=example(
        "deepcredit db prune --completed-before 90d --dry-run",
        "deepcredit db prune --completed-before 90d && deepcredit store check --delete",
    )
)
def prune(
    ctx: typer.Context,
    completed_before: Annotated[
        str, typer.Option(help="How long ago at least: 90d, 12h, 8w.", metavar="AGE")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove batches completed long ago with all that they left. Batches with trained
    models stay, and those that a candidate list, an ensemble or a younger batch refers to.

    What batches left whose rows were deleted goes too. Batches in error stay. It may be stopped and
    run again at any time.
    """
    seconds = seconds_of(completed_before, "--completed-before")
    opened = session(ctx)
    old = opened.read(lambda connection: housekeeping.old(connection, seconds))
    kept = f"{old.needed:,} kept, to which something refers" if old.needed else ""
    if dry_run:
        span = f" (batch {old.first} to {old.last})" if old.removable else ""
        say("; ".join(filter(None, (f"{_batches(old.removable)} can go{span}", kept))))
        return
    with progress("pruning") as bar:
        removed = _step_by_step(
            opened,
            partial(housekeeping.prune, seconds=seconds),
            lambda done: bar(
                done / max(old.removable, done), f"{done:,} of {_batches(old.removable)}"
            ),
        )
        left = _step_by_step(opened, housekeeping.prune_deserted, lambda _: None)
    remains = f"and what {counted(left, 'deleted one')} had left" if left else ""
    say("; ".join(filter(None, (f"{_batches(removed)} removed", remains, kept))))


def _batches(number: int) -> str:
    return counted(number, "batch", "batches")


def _step_by_step(
    opened: Session, step: Callable[..., housekeeping.Pruned], tell: Callable[[int], None]
) -> int:
    """Run `step`, each time in a transaction, until nothing is left; how many batches went."""
    removed, after = 0, 0
    while True:
        done = opened.write(partial(step, after=after))
        removed += done.batches
        if done.batches:
            tell(removed)
        if done.after is None:
            return removed
        after = done.after
        time.sleep(_PAUSE_SECONDS)
