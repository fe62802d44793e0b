"""The tables of batches: what is asked for and how it stands, and each attempt at it."""

from sqlalchemy import CheckConstraint, Column, Computed, Index, Integer, SmallInteger, String, text

from storage.columns import big_id, code, long_text, moment, number, utc_now, when
from storage.metadata import table

dc_batch = table(
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
    Index("k_dataset", "dataset_group", "dataset_version"),
    Index("u_running", "running_key", unique=True),
    Index("u_active", "active_key", unique=True),
    sqlite_autoincrement=True,  # the number of a deleted batch must not be given again
)

dc_batch_attempt = table(
    "dc_batch_attempt",
    Column("batch_id", big_id(), primary_key=True),
    Column("fence", big_id(), primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("serve_server_id", String(190)),
    Column("identity", String(190)),  # host:pid:boot.pid_namespace:slot of the launcher
    Column("started_at", moment(), nullable=False),
    Column("finished_at", moment()),
    Column("outcome", code(1)),  # C, E, or I when it was given back
    Column("error_class", String(100)),
    Column("error_text", long_text()),
)
