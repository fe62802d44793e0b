"""The tables of who serves: launchers, queues, and the database itself."""

from sqlalchemy import Column, Integer, SmallInteger, String

from storage.columns import code, moment
from storage.metadata import table

dc_server = table(
    "dc_server",
    Column("serve_server_id", String(190), primary_key=True),
    Column("identity", String(190)),
    Column("host", String(255)),
    Column("pid", Integer),
    Column("version", String(50)),
    Column("started_at", moment()),
    Column("last_seen", moment()),
    Column("slots", Integer),
    Column("tags", String(500)),  # JSON list
    Column("queues", String(500)),  # JSON list, in the order in which they are served
    Column("gpus", Integer),
    Column("paused", SmallInteger, nullable=False, server_default="0"),
    Column("memory_mb", Integer),  # the most that its batches may need; NULL: not known
    Column("takes_none", String(200)),  # why it claims nothing at present; NULL: it claims
)

dc_queue = table(
    "dc_queue",
    Column("queue", String(32), primary_key=True),
    Column("paused", SmallInteger, nullable=False, server_default="0"),
)

dc_identity = table(
    "dc_identity",
    Column("database_id", code(32), primary_key=True),  # the one row; a model store bears it
)
