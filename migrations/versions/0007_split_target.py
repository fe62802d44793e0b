"""What a split's labels mean: equal rows may be registered with another target."""

import sqlalchemy as sa

from migrations import columns

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    columns.add("dc_split", sa.Column("target", sa.String(400)))
