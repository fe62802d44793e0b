"""What a model was fitted on: scores of card and CPU differ in the last digits."""

import sqlalchemy as sa

from migrations import columns
from storage.columns import code

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    columns.add("dc_model", sa.Column("device", code(8)))
