"""A note beside a result: what was out of the ordinary when it was made."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_batch_result")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    if "note" not in there:
        op.add_column("dc_batch_result", sa.Column("note", sa.String(500)))
