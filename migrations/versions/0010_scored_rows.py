"""Which rows a predict batch has scored, so that each score can be given its row's name."""

import sqlalchemy as sa

from migrations import columns
from storage.columns import code

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    columns.add(
        "dc_batch_result", sa.Column("split_id", code(64)), sa.Column("content_sha256", code(64))
    )
