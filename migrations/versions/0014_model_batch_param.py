"""What a model was asked for, defaults included: batch_param of its batch may be another later."""

import sqlalchemy as sa

from migrations import columns
from storage.columns import long_text

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    columns.add("dc_model", sa.Column("batch_param", long_text()))
