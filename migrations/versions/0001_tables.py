"""The tables of the first release."""

from typing import Any

from alembic import op
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    text,
)

from storage.columns import big_id, code, long_text, moment, number, utc_now, when

revision = "0001"
down_revision = None

VOTE_METRICS = (
    "accuracy",
    "precision_score",
    "recall_score",
    "specificity",
    "f1_score",
    "balanced_accuracy",
    "mcc",
)
METRICS = (*VOTE_METRICS, "auc", "gini", "ks", "pr_auc", "brier", "log_loss")

INDEXES = (
    ("k_claim", "dc_batch", ["state", "queue", "priority", "batch_id"], False),
    ("k_retry", "dc_batch", ["state", "queue", "run_after", "batch_id"], False),
    ("k_lease", "dc_batch", ["state", "lease_until"], False),
    ("k_cancel", "dc_batch", ["cancel_requested_at"], False),
    ("k_claim_id", "dc_batch", ["claim_id"], False),
    ("u_running", "dc_batch", ["running_key"], True),
    ("u_active", "dc_batch", ["active_key"], True),
    ("k_model_group", "dc_model_list", ["model_group_id"], False),
    ("k_t4_rank", "dc_batch_result_t4", ["batch_id", "split", "rank_no"], False),
)


def upgrade() -> None:
    _batches()
    _datasets()
    _models()
    _results()
    _servers()
    for name, table, columns, unique in INDEXES:
        op.create_index(name, table, columns, unique=unique, if_not_exists=True)


def _create(name: str, *parts: Any, **options: Any) -> None:
    # MariaDB commits every table by itself: what an interrupted run has made is passed over.
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
        **options,
    )


def _metrics(names: tuple[str, ...]) -> list[Column[Any]]:
    counts = [Column(name, big_id()) for name in ("tn", "fp", "fn", "tp")]
    return counts + [Column(name, number()) for name in names]


def _batches() -> None:
    _create(
        "dc_batch",
        Column("batch_id", big_id(), primary_key=True, autoincrement=True),
        Column("batch_desc", String(500)),
        Column("batch_memo", long_text()),
        Column("batch_param", long_text()),
        Column("script_no", String(50)),
        Column("mode", String(50)),
        Column("train_batch_id", big_id()),
        Column("candidate_id", String(100)),
        Column("dataset_group", String(100)),
        Column("dataset_version", Integer),
        Column("model_group", String(100)),
        Column("state", code(1), nullable=False, server_default="I"),
        Column("serve_server_id", String(190)),
        Column("work_date", moment()),
        Column("work_end_date", moment()),
        Column("priority", SmallInteger, nullable=False, server_default="100"),
        Column("queue", String(32), nullable=False, server_default="default"),
        Column("run_after", moment()),
        Column("attempt", SmallInteger, nullable=False, server_default="0"),
        Column("max_attempts", SmallInteger, nullable=False, server_default="3"),
        Column("fence", big_id(), nullable=False, server_default="0"),
        Column("claim_id", code(32)),
        Column("lease_until", moment()),
        Column("cancel_requested_at", moment()),
        Column("progress", number()),
        Column("progress_note", String(255)),
        Column("error_class", String(100)),
        Column("error_text", long_text()),
        Column("need_tag", String(32)),
        Column("need_mem_mb", Integer),
        Column("concurrency_key", String(100)),
        Column("dedupe_key", String(100)),
        # No NULL equals another, so UNIQUE over these binds running and active rows only.
        Column(
            "running_key",
            String(100),
            Computed(
                when(text("state = 'U'"), text("concurrency_key"), text("NULL")), persisted=False
            ),
        ),
        Column(
            "active_key",
            String(100),
            Computed(
                when(text("state = 'I' OR state = 'U'"), text("dedupe_key"), text("NULL")),
                persisted=False,
            ),
        ),
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        CheckConstraint("state IN ('I', 'U', 'C', 'E')", name="dc_batch_state"),
        # The claim must follow an index in both WHERE and ORDER BY: locks follow the scan.
        sqlite_autoincrement=True,  # the number of a deleted batch must not be given again
    )
    _create(
        "dc_batch_attempt",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("fence", big_id(), nullable=False, autoincrement=False),
        Column("attempt", SmallInteger, nullable=False),
        Column("serve_server_id", String(190)),
        Column("identity", String(190)),  # host:pid:boot:slot of the launcher
        Column("started_at", moment(), nullable=False),
        Column("finished_at", moment()),
        Column("outcome", code(1)),  # C, E, or I when it was given back
        Column("error_class", String(100)),
        Column("error_text", long_text()),
        PrimaryKeyConstraint("batch_id", "fence"),
    )


def _datasets() -> None:
    _create(
        "dc_dataset",
        Column("dataset_group", String(100), nullable=False),
        Column("dataset_version", Integer, nullable=False, autoincrement=False),
        Column("table_name", String(64), nullable=False),
        Column("target_column", String(64)),
        Column("positive_value", String(255)),  # of a text target: the value that means 1
        Column("id_column", String(64)),
        Column("time_column", String(64)),
        Column("order_column", String(64)),  # gives the rows their order; no feature
        Column("n_rows", big_id(), nullable=False),
        Column("positive_rate", number()),
        Column("content_sha256", code(64), nullable=False),
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        PrimaryKeyConstraint("dataset_group", "dataset_version"),
    )
    _create(
        "dc_dataset_column",
        Column("dataset_group", String(100), nullable=False),
        Column("dataset_version", Integer, nullable=False, autoincrement=False),
        Column("column_name", String(64), nullable=False),
        Column("position", Integer, nullable=False),
        Column("role", code(16), nullable=False),
        Column("kind", code(16), nullable=False),
        Column("missing_values", long_text()),  # JSON list of the sentinels that mean missing
        CheckConstraint(
            "role IN ('feature','target','id','time','group','ignore','sensitive')",
            name="dc_dataset_column_role",
        ),
        CheckConstraint("kind IN ('numeric','categorical')", name="dc_dataset_column_kind"),
        PrimaryKeyConstraint("dataset_group", "dataset_version", "column_name"),
    )
    _create(
        "dc_split",
        Column("split_id", code(64), primary_key=True),
        Column("dataset_group", String(100), nullable=False),
        Column("dataset_version", Integer, nullable=False),
        Column("content_sha256", code(64), nullable=False),
        Column("n_train", big_id(), nullable=False),
        Column("n_valid", big_id(), nullable=False),
        Column("n_test", big_id(), nullable=False),
        Column("uri", String(500), nullable=False),  # row numbers and labels of the parts
        Column("sha256", code(64), nullable=False),
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
    )


def _models() -> None:
    _create(
        "dc_model_list",
        Column("model_no", Integer, primary_key=True, autoincrement=False),
        Column("model_id", String(100), nullable=False),
        Column("model_group_id", String(100), nullable=False),
        Column("model_param", long_text()),
        Column("use_yn", code(1), nullable=False, server_default="Y"),
        Column("model_desc", String(500)),
    )
    _create(
        "dc_model",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_no", Integer, nullable=False, autoincrement=False),
        Column("model_sub_no", Integer, nullable=False, autoincrement=False),
        Column("fence", big_id(), nullable=False),
        Column("model_id", String(100), nullable=False),
        Column("params", long_text(), nullable=False),  # JSON of the one variant, defaults included
        Column("threshold", number(), nullable=False),
        Column("uri", String(500), nullable=False),
        Column("format", code(32), nullable=False),
        Column("sha256", code(64), nullable=False),
        Column("bytes", big_id(), nullable=False),
        Column("scores_uri", String(500), nullable=False),
        Column("scores_sha256", code(64), nullable=False),
        Column("split_id", code(64), nullable=False),
        Column("preprocessor_uri", String(500), nullable=False),
        Column("preprocessor_sha256", code(64), nullable=False),
        Column("fingerprint", code(64), nullable=False),  # of all that determines the numbers
        Column("seconds", number()),
        Column("versions", long_text()),  # JSON: library to version
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        PrimaryKeyConstraint("batch_id", "model_no", "model_sub_no"),
    )
    _create(
        "dc_candidate_model_list",
        Column("candidate_id", String(100), nullable=False),
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_no", Integer, nullable=False, autoincrement=False),
        Column("model_sub_no", Integer, nullable=False, autoincrement=False),
        PrimaryKeyConstraint("candidate_id", "batch_id", "model_no", "model_sub_no"),
    )


def _results() -> None:
    _create(
        "dc_batch_result",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("model_no", Integer, nullable=False, autoincrement=False),
        Column("model_sub_no", Integer, nullable=False, autoincrement=False),
        Column("split", code(5), nullable=False),
        Column("fence", big_id(), nullable=False),
        Column("model_id", String(100)),
        Column("state", code(1), nullable=False),
        Column("error_class", String(100)),
        Column("error_text", long_text()),
        Column("n_rows", big_id()),
        Column("threshold", number()),
        *_metrics(METRICS),
        Column("fit_seconds", number()),
        Column("predict_seconds", number()),
        Column("scores_uri", String(500)),  # of a predict batch; those of a train batch: dc_model
        Column("scores_sha256", code(64)),
        Column("fingerprint", code(64)),  # of all that determines the numbers
        Column("created_at", moment(), nullable=False, server_default=utc_now()),
        CheckConstraint("split IN ('valid','test','all')", name="dc_batch_result_split"),
        CheckConstraint("state IN ('C','E')", name="dc_batch_result_state"),
        PrimaryKeyConstraint("batch_id", "model_no", "model_sub_no", "split"),
    )
    _create(
        "dc_batch_result_t4",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("ensemble_no", big_id(), nullable=False, autoincrement=False),
        Column("split", code(5), nullable=False),
        Column("rank_no", big_id()),
        *_metrics(VOTE_METRICS),
        PrimaryKeyConstraint("batch_id", "ensemble_no", "split"),
    )
    _create(
        "dc_batch_detail_t4",
        Column("batch_id", big_id(), nullable=False, autoincrement=False),
        Column("ensemble_no", big_id(), nullable=False, autoincrement=False),
        Column("round_no", Integer, nullable=False, autoincrement=False),
        Column("members", long_text(), nullable=False),
        PrimaryKeyConstraint("batch_id", "ensemble_no", "round_no"),
    )


def _servers() -> None:
    _create(
        "dc_server",
        Column("serve_server_id", String(190), primary_key=True),
        Column("identity", String(190)),
        Column("host", String(255)),
        Column("pid", Integer),
        Column("version", String(50)),
        Column("started_at", moment()),
        Column("last_seen", moment()),
        Column("slots", Integer),
        Column("tags", String(500)),  # JSON list
        Column("gpus", Integer),
        Column("paused", SmallInteger, nullable=False, server_default="0"),
    )
    _create(
        "dc_queue",
        Column("queue", String(32), primary_key=True),
        Column("paused", SmallInteger, nullable=False, server_default="0"),
    )
