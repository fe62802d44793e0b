"""The tables of data sets and models: what is trained on what, and how well it does."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, String

from configs.metric_names import METRICS
from storage.columns import big_id, code, long_text, moment, number, utc_now
from storage.metadata import metric_columns, table

dc_dataset = table(
    "dc_dataset",
    Column("dataset_group", String(100), primary_key=True),
    Column("dataset_version", Integer, primary_key=True),
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
)

dc_dataset_column = table(
    "dc_dataset_column",
    Column("dataset_group", String(100), primary_key=True),
    Column("dataset_version", Integer, primary_key=True),
    Column("column_name", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("role", code(16), nullable=False),
    Column("kind", code(16), nullable=False),
    Column("missing_values", long_text()),  # JSON list of the sentinels that mean missing
    CheckConstraint(
        "role IN ('feature','target','id','time','group','ignore','sensitive')",
        name="dc_dataset_column_role",
    ),
    CheckConstraint("kind IN ('numeric','categorical')", name="dc_dataset_column_kind"),
)

dc_model_list = table(
    "dc_model_list",
    Column("model_no", Integer, primary_key=True, autoincrement=False),
    Column("model_id", String(100), nullable=False),
    Column("model_group_id", String(100), nullable=False),
    Column("model_param", long_text()),
    Column("use_yn", code(1), nullable=False, server_default="Y"),
    Column("model_desc", String(500)),
    Index("k_model_group", "model_group_id"),
)

dc_split = table(
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
    Column("target", String(400)),  # what its labels mean, as `class = bad`
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
)

dc_model = table(
    "dc_model",
    Column("batch_id", big_id(), primary_key=True),
    Column("model_no", Integer, primary_key=True),
    Column("model_sub_no", Integer, primary_key=True),
    Column("fence", big_id(), nullable=False),
    Column("model_id", String(100), nullable=False),
    Column("params", long_text(), nullable=False),  # JSON of the one variant
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
    Column("versions", long_text()),  # JSON: program or library to version
    Column("device", code(8)),  # cpu or cuda; NULL: trained before this was kept
    Column("row_keys_uri", String(500)),  # of the rows learned from; NULL: trained before
    Column("row_keys_sha256", code(64)),
    Column("batch_param", long_text()),  # JSON, defaults included; NULL: trained before
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
)

dc_batch_result = table(
    "dc_batch_result",
    Column("batch_id", big_id(), primary_key=True),
    Column("model_no", Integer, primary_key=True),
    Column("model_sub_no", Integer, primary_key=True),
    Column("split", code(5), primary_key=True),
    Column("fence", big_id(), nullable=False),
    Column("model_id", String(100)),
    Column("state", code(1), nullable=False),
    Column("error_class", String(100)),
    Column("error_text", long_text()),
    Column("n_rows", big_id()),
    Column("threshold", number()),
    *metric_columns(METRICS),
    Column("psi", number()),  # of a predict batch on other rows: how far scores have shifted
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
)

dc_score_band = table(
    "dc_score_band",
    Column("batch_id", big_id(), primary_key=True),
    Column("model_no", Integer, primary_key=True),
    Column("model_sub_no", Integer, primary_key=True),
    Column("split", code(5), primary_key=True),
    Column("band", Integer, primary_key=True),  # configs/score_bands.py has the first and the last
    Column("n_rows", big_id(), nullable=False),
    Column("n_positive", big_id()),  # NULL: no outcome is known
    Column("mean_score", number(), nullable=False),
    CheckConstraint("split IN ('valid','test','all')", name="dc_score_band_split"),
)
