"""The tables of ensembles: candidates in, ranked votes, methods, histograms and pictures out."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)

from configs.metric_names import METRICS, VOTE_METRICS
from storage.columns import big_id, code, long_text, moment, number, utc_now
from storage.metadata import INNODB, metadata, metric_columns

dc_candidate_model_list = Table(
    "dc_candidate_model_list",
    metadata,
    Column("candidate_id", String(100), nullable=False),
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("model_no", Integer, nullable=False, autoincrement=False),
    Column("model_sub_no", Integer, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("candidate_id", "batch_id", "model_no", "model_sub_no"),
    Index("k_listed", "batch_id"),
    **INNODB,
)

dc_batch_result_t4 = Table(
    "dc_batch_result_t4",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("ensemble_no", big_id(), nullable=False, autoincrement=False),
    Column("split", code(5), nullable=False),
    Column("rank_no", big_id()),
    *metric_columns(VOTE_METRICS),
    PrimaryKeyConstraint("batch_id", "ensemble_no", "split"),
    Index("k_t4_rank", "batch_id", "split", "rank_no"),
    **INNODB,
)

dc_batch_detail_t4 = Table(
    "dc_batch_detail_t4",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("ensemble_no", big_id(), nullable=False, autoincrement=False),
    Column("round_no", Integer, nullable=False, autoincrement=False),
    Column("members", long_text(), nullable=False),
    PrimaryKeyConstraint("batch_id", "ensemble_no", "round_no"),
    **INNODB,
)

dc_ensemble_model = Table(  # what an ensemble batch drew from, numbered as its members are
    "dc_ensemble_model",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("position", Integer, nullable=False, autoincrement=False),  # from 0
    Column("model_batch_id", big_id(), nullable=False),
    Column("model_no", Integer, nullable=False),
    Column("model_sub_no", Integer, nullable=False),
    Column("model_id", String(100), nullable=False),
    Column("threshold", number(), nullable=False),
    Column("sha256", code(64), nullable=False),  # of the model's file
    PrimaryKeyConstraint("batch_id", "position"),
    Index("k_drawn", "model_batch_id"),
    **INNODB,
)

dc_ensemble_range = Table(  # finished parts of a search that still runs
    "dc_ensemble_range",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("first_no", big_id(), nullable=False, autoincrement=False),
    Column("last_no", big_id(), nullable=False),  # the last one in it
    Column("fence", big_id(), nullable=False),
    Column("fingerprint", code(64), nullable=False),  # of all that determines its numbers
    Column("uri", String(500), nullable=False),
    Column("sha256", code(64), nullable=False),
    Column("bytes", big_id(), nullable=False),
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
    PrimaryKeyConstraint("batch_id", "first_no"),
    **INNODB,
)

dc_ensemble_score = Table(  # scores of an ensemble's members on the rows of a predict batch
    "dc_ensemble_score",
    metadata,
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
    **INNODB,
)

dc_batch_method = Table(  # every way to combine the candidates, side by side
    "dc_batch_method",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("method", code(16), nullable=False),
    Column("split", code(5), nullable=False),
    Column("chosen", SmallInteger, nullable=False, server_default="0"),  # 1: what predict uses
    Column("n_models", Integer),
    Column("n_rows", big_id()),
    Column("threshold", number()),
    *metric_columns(METRICS),
    Column("metric", code(32)),  # the one that low, high and gain are of
    Column("low", number()),  # 95 % bootstrap interval, on test alone
    Column("high", number()),
    Column("gain", number()),  # over the best single model, on the same rows
    Column("gain_low", number()),
    Column("gain_high", number()),
    Column("parameters", long_text()),  # JSON: members, weights; with the valid row alone
    CheckConstraint("split IN ('valid','test')", name="dc_batch_method_split"),
    PrimaryKeyConstraint("batch_id", "method", "split"),
    **INNODB,
)

dc_batch_histogram = Table(
    "dc_batch_histogram",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("metric", code(32), nullable=False),
    Column("split", code(5), nullable=False),
    Column("bin_no", Integer, nullable=False, autoincrement=False),
    Column("bin_from", number()),  # NULL, as bin_to: ensembles whose metric is undefined
    Column("bin_to", number()),
    Column("n", big_id(), nullable=False),
    PrimaryKeyConstraint("batch_id", "metric", "split", "bin_no"),
    **INNODB,
)

dc_batch_picture = Table(
    "dc_batch_picture",
    metadata,
    Column("batch_id", big_id(), nullable=False, autoincrement=False),
    Column("name", code(64), nullable=False),
    Column("uri", String(500), nullable=False),
    Column("sha256", code(64), nullable=False),
    Column("bytes", big_id(), nullable=False),
    PrimaryKeyConstraint("batch_id", "name"),
    **INNODB,
)
