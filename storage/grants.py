"""What each role may do on MariaDB, as GRANT statements for a person to run."""

from collections.abc import Collection

from storage.metadata import VERSION_TABLE
from storage.schema import LEFT_BY_BATCHES, metadata
from storage.views import VIEWS

ROLES = {
    "deepcredit_reader": "looks at batches and results",
    "deepcredit_operator": "adds, changes and deletes batches, keeps the lists of models",
    "deepcredit_launcher": "claims batches, reads data sets, writes results",
}

_TABLES = sorted((*metadata.tables, *VIEWS, VERSION_TABLE))
_READ = ("SELECT",)
_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")
_LEFT = [table.name for table in LEFT_BY_BATCHES]
_OPERATOR = {
    "dc_batch": _WRITE,
    "dc_dataset": _WRITE,
    "dc_dataset_column": _WRITE,
    "dc_model_list": _WRITE,
    "dc_candidate_model_list": _WRITE,
    "dc_queue": _WRITE,
    "dc_server": _WRITE,
    **dict.fromkeys(_LEFT, ("SELECT", "DELETE")),  # to delete a batch with all it left
}
_LAUNCHER = {
    "dc_batch": ("SELECT", "UPDATE"),
    "dc_split": _WRITE,
    "dc_server": _WRITE,
    **dict.fromkeys(_LEFT, _WRITE),
}


def grants(database: str) -> list[str]:
    """Statements without a semicolon, to be run by an administrator, as often as one likes.

    Readers and operators see our tables alone; launchers also read the tables of data sets, which
    lie in the same database. Whoever runs `db upgrade`, `dataset load` or `dataset delete` of what
    was loaded needs more: all rights on the database.
    """
    statements = []
    for role in ROLES:
        statements.append(f"CREATE ROLE IF NOT EXISTS {_quote(role)}")
        for table in _TABLES:
            verbs = rights(role, table)
            statements.append(
                f"GRANT {', '.join(verbs)} ON {_quote(database)}.{_quote(table)} TO {_quote(role)}"
            )
    everything = f"{_quote(_literally(database))}.*"
    statements.append(f"GRANT SELECT ON {everything} TO {_quote('deepcredit_launcher')}")
    return statements


def how_to_give(role: str, account: str = "'ACCOUNT'@'HOST'") -> list[str]:
    """The statements that give a role to an account; the default is for a person to complete."""
    return [
        f"GRANT {_quote(role)} TO {account}",
        f"SET DEFAULT ROLE {_quote(role)} FOR {account}",
    ]


def role_for(verbs: Collection[str], table: str) -> str | None:
    """The one that may do the least of those that may do this; None: no role may."""
    if table not in _TABLES:  # of a data set
        return "deepcredit_launcher" if {*verbs} == {*_READ} else None
    return next((role for role in ROLES if {*verbs} <= {*rights(role, table)}), None)


def rights(role: str, table: str) -> tuple[str, ...]:
    """SELECT, and what else a role may do with one of our tables."""
    special = {"deepcredit_operator": _OPERATOR, "deepcredit_launcher": _LAUNCHER}
    return special.get(role, {}).get(table, _READ)


def _literally(database: str) -> str:
    """For a whole database GRANT reads _ and % as wildcards."""
    return database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")


def _quote(name: str) -> str:
    # Not SQLAlchemy's own: that doubles % for the driver, and this text is for people.
    return "`" + name.replace("`", "``") + "`"
