"""Which queues a launcher serves, for people who wonder why a batch waits."""

import sqlalchemy as sa

from migrations import columns

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    columns.add("dc_server", sa.Column("queues", sa.String(500)))
