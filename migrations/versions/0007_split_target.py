"""What a split's labels mean: equal rows may be registered with another target."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_split")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    if "target" not in there:
        op.add_column("dc_split", sa.Column("target", sa.String(400)))
