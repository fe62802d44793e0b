"""How many rows, and of which class, have scores of which band, and how far scores have shifted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint

from migrations import columns
from storage.columns import big_id, code, number

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # MariaDB commits every step by itself: what an interrupted run has made is passed over.
    op.create_table(
        "dc_score_band",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_no", Integer, nullable=False, autoincrement=False),
        Column("model_sub_no", Integer, nullable=False, autoincrement=False),
        Column("split", code(5), nullable=False),
        Column("band", Integer, nullable=False, autoincrement=False),
        Column("n_rows", big_id(), nullable=False),
        Column("n_positive", big_id()),
        Column("mean_score", number(), nullable=False),
        PrimaryKeyConstraint("batch_id", "model_no", "model_sub_no", "split", "band"),
        CheckConstraint("split IN ('valid','test','all')", name="dc_score_band_split"),
        if_not_exists=True,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )
    columns.add("dc_batch_result", sa.Column("psi", number()))
