"""Which database this is. A copy of it, restored from a backup, is the same one."""

from uuid import uuid4

from sqlalchemy import Connection, select

from configs.errors import WrongSchema
from storage.schema import dc_identity


def database_id(connection: Connection) -> str:
    """The id that the migration gave it.

    Raises:
        WrongSchema: somebody has deleted it.
    """
    found: str | None = connection.scalar(select(dc_identity.c.database_id))
    if found is None:
        raise WrongSchema(
            "dc_identity is empty, so this database has no id that its model store could bear; "
            f"put one there, such as {uuid4().hex}"
        )
    return found
