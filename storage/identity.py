"""Which database this is. A copy of it, restored from a backup, is the same one."""

from uuid import uuid4

from sqlalchemy import Connection, select

from configs.errors import WrongSchema
from storage.artifacts.uris import is_id
from storage.schema import dc_identity


def database_id(connection: Connection) -> str:
    """The id that the migration gave it.

    Raises:
        WrongSchema: somebody has changed it to what is none.
    """
    found: list[str] = list(connection.scalars(select(dc_identity.c.database_id)))
    if len(found) == 1 and is_id(found[0]):
        return found[0]
    there = " and ".join(map(repr, found)) or "nothing"
    raise WrongSchema(
        "dc_identity must have one row, the id that the model store bears: 32 digits of 0-9 and "
        f"a-f, such as {uuid4().hex}; it has {there}"
    )
