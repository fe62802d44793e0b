"""v_batch tells of a retry that is being cancelled, and names the tag of launchers that are paused.

`deepcredit db upgrade` makes every view anew; the number tells programs that it has done so.
"""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """No table changes."""
