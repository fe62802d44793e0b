"""Create or migrate the database, check it, print its grants."""

from typing import Annotated

import typer

from launcher.console import say
from launcher.folder import example, new_app
from launcher.session import session
from storage import grants as roles
from storage import migrate

app = new_app()


@app.callback()
def db() -> None:
    """Create or migrate the database, check it, print its grants."""


@app.command(epilog=example("deepcredit db upgrade"))
def upgrade(ctx: typer.Context) -> None:
    """Create the tables and views, or bring them to this version. Safe to repeat; rows stay."""
    migrate.upgrade(session(ctx).engine, say)


@app.command(epilog=example("deepcredit db check"))
def check(ctx: typer.Context) -> None:
    """Compare the live schema with the code; exit 1 and say what differs, if anything does."""
    differences = migrate.check(session(ctx).engine)
    for line in differences:
        typer.echo(f"error: {line}", err=True)
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
    """Print GRANT statements for the roles operator, launcher and reader; nothing is run."""
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
