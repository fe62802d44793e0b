"""Which rows a predict batch has scored, so that each score can be given its row's name."""

import sqlalchemy as sa
from alembic import op

from storage.columns import code

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_batch_result")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    for name in ("split_id", "content_sha256"):
        if name not in there:
            op.add_column("dc_batch_result", sa.Column(name, code(64)))
