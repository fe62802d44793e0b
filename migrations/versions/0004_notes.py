"""A note beside a result: what was out of the ordinary when it was made."""

import sqlalchemy as sa

from migrations import columns

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    columns.add("dc_batch_result", sa.Column("note", sa.String(500)))
