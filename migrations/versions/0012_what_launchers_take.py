"""How much memory a launcher has and why it takes nothing, for people whose batch waits.

`deepcredit db upgrade` makes v_batch anew, which tells of both.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("dc_server")}
    # MariaDB commits every change by itself: what an interrupted run has made is passed over.
    for column in (sa.Column("memory_mb", sa.Integer), sa.Column("takes_none", sa.String(200))):
        if column.name not in there:
            op.add_column("dc_server", column)
