"""Which rows a model was learned from, so that they are known again in other data sets."""

import sqlalchemy as sa

from migrations import columns
from storage.columns import code

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    columns.add(
        "dc_model",
        sa.Column("row_keys_uri", sa.String(500)),
        sa.Column("row_keys_sha256", code(64)),
    )
