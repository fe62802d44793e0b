"""The one description of the database; migrations are checked against it.

Columns beyond those that operators rely on always have a default, so that an INSERT which names
only the old columns keeps working.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    text,
)

from storage.columns import big_id, code, long_text, moment, number, utc_now, when
from storage.ensemble_schema import (
    dc_batch_detail_t4,
    dc_batch_histogram,
    dc_batch_method,
    dc_batch_picture,
    dc_batch_result_t4,
    dc_candidate_model_list,
    dc_ensemble_model,
    dc_ensemble_range,
    dc_ensemble_score,
)
from storage.metadata import INNODB, METRICS, metadata, metric_columns

__all__ = [
    "dc_batch",
    "dc_batch_attempt",
    "dc_batch_detail_t4",
    "dc_batch_histogram",
    "dc_batch_method",
    "dc_batch_picture",
    "dc_batch_result",
    "dc_batch_result_t4",
    "dc_candidate_model_list",
    "dc_dataset",
    "dc_dataset_column",
    "dc_ensemble_model",
    "dc_ensemble_range",
    "dc_ensemble_score",
    "dc_identity",
    "dc_model",
    "dc_model_list",
    "dc_queue",
    "dc_server",
    "dc_split",
    "metadata",
]

dc_batch = Table(
    "dc_batch",
    metadata,
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
        Computed(when(text("state = 'U'"), text("concurrency_key"), text("NULL")), persisted=False),
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
    Index("k_claim", "state", "queue", "priority", "batch_id"),
    Index("k_retry", "state", "queue", "run_after", "batch_id"),
    Index("k_lease", "state", "lease_until"),
    Index("k_cancel", "cancel_requested_at"),
    Index("k_claim_id", "claim_id"),
    Index("k_ended", "state", "work_end_date"),
    Index("k_parent", "train_batch_id"),
    Index("u_running", "running_key", unique=True),
    Index("u_active", "active_key", unique=True),
    sqlite_autoincrement=True,  # the number of a deleted batch must not be given again
    **INNODB,
)

dc_batch_attempt = Table(
    "dc_batch_attempt",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("fence", big_id(), nullable=False, autoincrement=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("serve_server_id", String(190)),
    Column("identity", String(190)),  # host:pid:boot.pid_namespace:slot of the launcher
    Column("started_at", moment(), nullable=False),
    Column("finished_at", moment()),
    Column("outcome", code(1)),  # C, E, or I when it was given back
    Column("error_class", String(100)),
    Column("error_text", long_text()),
    PrimaryKeyConstraint("batch_id", "fence"),
    **INNODB,
)

dc_dataset = Table(
    "dc_dataset",
    metadata,
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
    **INNODB,
)

dc_dataset_column = Table(
    "dc_dataset_column",
    metadata,
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
    **INNODB,
)

dc_model_list = Table(
    "dc_model_list",
    metadata,
    Column("model_no", Integer, primary_key=True, autoincrement=False),
    Column("model_id", String(100), nullable=False),
    Column("model_group_id", String(100), nullable=False),
    Column("model_param", long_text()),
    Column("use_yn", code(1), nullable=False, server_default="Y"),
    Column("model_desc", String(500)),
    Index("k_model_group", "model_group_id"),
    **INNODB,
)

dc_split = Table(
    "dc_split",
    metadata,
    Column("split_id", code(64), primary_key=True),
    Column("dataset_group", String(100), nullable=False),
    Column("dataset_version", Integer, nullable=False),
    Column("content_sha256", code(64), nullable=False),
    Column("n_train", big_id(), nullable=False),
    Column("n_valid", big_id(), nullable=False),
    Column("n_test", big_id(), nullable=False),
    Column("uri", String(500), nullable=False),  # row numbers and labels of the parts
    Column("sha256", code(64), nullable=False),
    Column("target", String(400)),  # what its labels mean, as `class = bad`
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
    **INNODB,
)

dc_model = Table(
    "dc_model",
    metadata,
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
    Column("scores_uri", String(500), nullable=False),  # scores of valid and test, in split order
    Column("scores_sha256", code(64), nullable=False),
    Column("split_id", code(64), nullable=False),
    Column("preprocessor_uri", String(500), nullable=False),
    Column("preprocessor_sha256", code(64), nullable=False),
    Column("fingerprint", code(64), nullable=False),  # of all that determines the numbers
    Column("seconds", number()),
    Column("versions", long_text()),  # JSON: library to version
    Column("device", code(8)),  # cpu or cuda; NULL: trained before this was kept
    Column("row_keys_uri", String(500)),  # of the rows learned from; NULL: trained before
    Column("row_keys_sha256", code(64)),
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
    PrimaryKeyConstraint("batch_id", "model_no", "model_sub_no"),
    **INNODB,
)


dc_batch_result = Table(
    "dc_batch_result",
    metadata,
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
    *metric_columns(METRICS),
    Column("fit_seconds", number()),
    Column("predict_seconds", number()),
    Column("scores_uri", String(500)),  # of a predict batch; those of a train batch: dc_model
    Column("scores_sha256", code(64)),
    Column("split_id", code(64)),  # of a predict batch: whose rows of test it scored; NULL: all
    Column("content_sha256", code(64)),  # of a predict batch: of the rows of its data set
    Column("fingerprint", code(64)),  # of all that determines the numbers
    Column("note", String(500)),  # what was out of the ordinary, as a full card
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
    CheckConstraint("split IN ('valid','test','all')", name="dc_batch_result_split"),
    CheckConstraint("state IN ('C','E')", name="dc_batch_result_state"),
    PrimaryKeyConstraint("batch_id", "model_no", "model_sub_no", "split"),
    **INNODB,
)

dc_server = Table(
    "dc_server",
    metadata,
    Column("serve_server_id", String(190), primary_key=True),
    Column("identity", String(190)),
    Column("host", String(255)),
    Column("pid", Integer),
    Column("version", String(50)),
    Column("started_at", moment()),
    Column("last_seen", moment()),
    Column("slots", Integer),
    Column("tags", String(500)),  # JSON list
    Column("queues", String(500)),  # JSON list, in the order in which they are served
    Column("gpus", Integer),
    Column("paused", SmallInteger, nullable=False, server_default="0"),
    Column("memory_mb", Integer),  # the most that its batches may need; NULL: not known
    Column("takes_none", String(200)),  # why it claims nothing at present; NULL: it claims
    **INNODB,
)

dc_queue = Table(
    "dc_queue",
    metadata,
    Column("queue", String(32), primary_key=True),
    Column("paused", SmallInteger, nullable=False, server_default="0"),
    **INNODB,
)

dc_identity = Table(
    "dc_identity",
    metadata,
    Column("database_id", code(32), primary_key=True),  # the one row; a model store bears it
    **INNODB,
)

LEFT_BY_BATCHES = tuple(
    table
    for table in metadata.sorted_tables
    if "batch_id" in table.primary_key.columns and table not in (dc_batch, dc_candidate_model_list)
)
"""What belongs to one batch and goes with it."""
