"""Which queues a launcher serves, for people who wonder why a batch waits."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_server")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    if "queues" not in there:
        op.add_column("dc_server", sa.Column("queues", sa.String(500)))
