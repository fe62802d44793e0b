"""v_leaderboard names each model's split: figures of different test rows do not compare.

`deepcredit db upgrade` makes every view anew; the number tells programs that it has done so.
"""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """No table changes."""
