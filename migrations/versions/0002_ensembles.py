"""What ensemble batches draw from, have finished and report."""

from typing import Any

from alembic import op
from sqlalchemy import (
    CheckConstraint,
    Column,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
)

from storage.columns import big_id, code, long_text, moment, number, utc_now

revision = "0002"
down_revision = "0001"

METRICS = (
    "accuracy",
    "precision_score",
    "recall_score",
    "specificity",
    "f1_score",
    "balanced_accuracy",
    "mcc",
    "auc",
    "gini",
    "ks",
    "pr_auc",
    "brier",
    "log_loss",
)


def upgrade() -> None:
    _search()
    _report()


def _create(name: str, *parts: Any) -> None:
    # MariaDB commits every table by itself: what an interrupted run has made is passed over.
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )


def _search() -> None:
    _create(
        "dc_ensemble_model",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("position", Integer, nullable=False, autoincrement=False),
        Column("model_batch_id", big_id(), nullable=False),
        Column("model_no", Integer, nullable=False),
        Column("model_sub_no", Integer, nullable=False),
        Column("model_id", String(100), nullable=False),
        Column("threshold", number(), nullable=False),
        Column("sha256", code(64), nullable=False),
        PrimaryKeyConstraint("batch_id", "position"),
    )
    _create(
        "dc_ensemble_range",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("first_no", big_id(), nullable=False, autoincrement=False),
        Column("last_no", big_id(), nullable=False),
        Column("fence", big_id(), nullable=False),
        Column("fingerprint", code(64), nullable=False),
        Column("uri", String(500), nullable=False),
        Column("sha256", code(64), nullable=False),
        Column("bytes", big_id(), nullable=False),
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        PrimaryKeyConstraint("batch_id", "first_no"),
    )
    _create(
        "dc_ensemble_score",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_no", Integer, nullable=False, autoincrement=False),
        Column("model_sub_no", Integer, nullable=False, autoincrement=False),
        Column("fence", big_id(), nullable=False),
        Column("fingerprint", code(64), nullable=False),
        Column("uri", String(500), nullable=False),
        Column("sha256", code(64), nullable=False),
        Column("bytes", big_id(), nullable=False),
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        PrimaryKeyConstraint("batch_id", "model_batch_id", "model_no", "model_sub_no"),
    )


def _report() -> None:
    _create(
        "dc_batch_method",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("method", code(16), nullable=False),
        Column("split", code(5), nullable=False),
        Column("chosen", SmallInteger, nullable=False, server_default="0"),
        Column("n_models", Integer),
        Column("n_rows", big_id()),
        Column("threshold", number()),
        *[Column(name, big_id()) for name in ("tn", "fp", "fn", "tp")],
        *[Column(name, number()) for name in METRICS],
        Column("metric", code(32)),
        Column("low", number()),
        Column("high", number()),
        Column("gain", number()),
        Column("gain_low", number()),
        Column("gain_high", number()),
        Column("parameters", long_text()),
        CheckConstraint("split IN ('valid','test')", name="dc_batch_method_split"),
        PrimaryKeyConstraint("batch_id", "method", "split"),
    )
    _create(
        "dc_batch_histogram",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("metric", code(32), nullable=False),
        Column("split", code(5), nullable=False),
        Column("bin_no", Integer, nullable=False, autoincrement=False),
        Column("bin_from", number()),
        Column("bin_to", number()),
        Column("n", big_id(), nullable=False),
        PrimaryKeyConstraint("batch_id", "metric", "split", "bin_no"),
    )
    _create(
        "dc_batch_picture",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("name", code(64), nullable=False),
        Column("uri", String(500), nullable=False),
        Column("sha256", code(64), nullable=False),
        Column("bytes", big_id(), nullable=False),
        PrimaryKeyConstraint("batch_id", "name"),
    )
