"""How much memory a launcher has and why it takes nothing, for people whose batch waits.

`deepcredit db upgrade` makes v_batch anew, which tells of both.
"""

import sqlalchemy as sa

from migrations import columns

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    columns.add(
        "dc_server", sa.Column("memory_mb", sa.Integer), sa.Column("takes_none", sa.String(200))
    )
