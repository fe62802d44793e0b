"""What a model was fitted on: scores of card and CPU differ in the last digits."""

import sqlalchemy as sa
from alembic import op

from storage.columns import code

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_model")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    if "device" not in there:
        op.add_column("dc_model", sa.Column("device", code(8)))
