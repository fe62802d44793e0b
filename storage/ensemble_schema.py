"""The tables of ensembles: candidates in, ranked votes, methods, histograms and pictures out."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, SmallInteger, String

from configs.metric_names import METRICS, VOTE_METRICS
from storage.columns import big_id, code, long_text, moment, number, utc_now
from storage.metadata import metric_columns, table

dc_candidate_model_list = table(
    "dc_candidate_model_list",
    Column("candidate_id", String(100), primary_key=True),
    Column("batch_id", big_id(), primary_key=True),
    Column("model_no", Integer, primary_key=True),
    Column("model_sub_no", Integer, primary_key=True),
    Index("k_listed", "batch_id"),
)

dc_batch_result_t4 = table(
    "dc_batch_result_t4",
    Column("batch_id", big_id(), primary_key=True),
    Column("ensemble_no", big_id(), primary_key=True),
    Column("split", code(5), primary_key=True),
    Column("rank_no", big_id()),
    *metric_columns(VOTE_METRICS),
    Index("k_t4_rank", "batch_id", "split", "rank_no"),
)

dc_batch_detail_t4 = table(
    "dc_batch_detail_t4",
    Column("batch_id", big_id(), primary_key=True),
    Column("ensemble_no", big_id(), primary_key=True),
    Column("round_no", Integer, primary_key=True),
    Column("members", long_text(), nullable=False),
)

dc_ensemble_model = table(  # what an ensemble batch drew from, numbered as its members are
    "dc_ensemble_model",
    Column("batch_id", big_id(), primary_key=True),
    Column("position", Integer, primary_key=True),  # from 0
    Column("model_batch_id", big_id(), nullable=False),
    Column("model_no", Integer, nullable=False),
    Column("model_sub_no", Integer, nullable=False),
    Column("model_id", String(100), nullable=False),
    Column("threshold", number(), nullable=False),
    Column("sha256", code(64), nullable=False),  # of the model's file
    Index("k_drawn", "model_batch_id"),
)

dc_ensemble_range = table(  # finished parts of a search that still runs
    "dc_ensemble_range",
    Column("batch_id", big_id(), primary_key=True),
    Column("first_no", big_id(), primary_key=True),
    Column("last_no", big_id(), nullable=False),  # the last one in it
    Column("fence", big_id(), nullable=False),
    Column("fingerprint", code(64), nullable=False),  # of all that determines its numbers
    Column("uri", String(500), nullable=False),
    Column("sha256", code(64), nullable=False),
    Column("bytes", big_id(), nullable=False),
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
)

dc_ensemble_score = table(  # scores of an ensemble's members on the rows of a predict batch
    "dc_ensemble_score",
    Column("batch_id", big_id(), primary_key=True),
    Column("model_batch_id", big_id(), primary_key=True),
    Column("model_no", Integer, primary_key=True),
    Column("model_sub_no", Integer, primary_key=True),
    Column("fence", big_id(), nullable=False),
    Column("fingerprint", code(64), nullable=False),
    Column("uri", String(500), nullable=False),
    Column("sha256", code(64), nullable=False),
    Column("bytes", big_id(), nullable=False),
    Column("created_at", moment(), nullable=False, server_default=utc_now()),
)

dc_batch_method = table(  # every way to combine the candidates, side by side
    "dc_batch_method",
    Column("batch_id", big_id(), primary_key=True),
    Column("method", code(16), primary_key=True),
    Column("split", code(5), primary_key=True),
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
)

dc_batch_histogram = table(
    "dc_batch_histogram",
    Column("batch_id", big_id(), primary_key=True),
    Column("metric", code(32), primary_key=True),
    Column("split", code(5), primary_key=True),
    Column("bin_no", Integer, primary_key=True),
    Column("bin_from", number()),  # NULL, as bin_to: ensembles whose metric is undefined
    Column("bin_to", number()),
    Column("n", big_id(), nullable=False),
)

dc_batch_picture = table(
    "dc_batch_picture",
    Column("batch_id", big_id(), primary_key=True),
    Column("name", code(64), primary_key=True),
    Column("uri", String(500), nullable=False),
    Column("sha256", code(64), nullable=False),
    Column("bytes", big_id(), nullable=False),
)
