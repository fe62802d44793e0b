"""An index for the batches of a data set."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    columns = ["dataset_group", "dataset_version"]
    # MariaDB commits an index at once: an upgrade that ended just then finds it made.
    op.create_index("k_dataset", "dc_batch", columns, if_not_exists=True)
