"""Which rows a model was learned from, so that they are known again in other data sets."""

import sqlalchemy as sa
from alembic import op

from storage.columns import code

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_model")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    for name, kind in (("row_keys_uri", sa.String(500)), ("row_keys_sha256", code(64))):
        if name not in there:
            op.add_column("dc_model", sa.Column(name, kind))
