"""Indexes for who refers to a batch, and for what ended when."""

from alembic import op

revision = "0003"
down_revision = "0002"

INDEXES = (
    ("k_ended", "dc_batch", ("state", "work_end_date")),
    ("k_parent", "dc_batch", ("train_batch_id",)),
    ("k_listed", "dc_candidate_model_list", ("batch_id",)),
    ("k_drawn", "dc_ensemble_model", ("model_batch_id",)),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        # MariaDB commits every index by itself: what an interrupted run has made is passed over.
        op.create_index(name, table, list(columns), if_not_exists=True)
