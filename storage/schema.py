"""The one description of the database, put together; migrations are checked against it.

Columns beyond those that operators rely on always have a default, so that an INSERT which names
only the old columns keeps working.
"""

from storage.batch_schema import dc_batch, dc_batch_attempt
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
from storage.metadata import metadata
from storage.model_schema import (
    dc_batch_result,
    dc_dataset,
    dc_dataset_column,
    dc_model,
    dc_model_list,
    dc_score_band,
    dc_split,
)
from storage.server_schema import dc_identity, dc_queue, dc_server

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
    "dc_score_band",
    "dc_server",
    "dc_split",
    "metadata",
]

LEFT_BY_BATCHES = tuple(
    table
    for table in metadata.sorted_tables
    if "batch_id" in table.primary_key.columns and table not in (dc_batch, dc_candidate_model_list)
)
"""What belongs to one batch and goes with it."""
