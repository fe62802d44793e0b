"""Bands of scores, as they are read: how many rows each model's scores have in which band."""

from collections import defaultdict

from sqlalchemy import Connection, select

from storage.records import ModelKey, SplitName
from storage.schema import dc_score_band

_band = dc_score_band.c


def rows_by_band(
    connection: Connection, batch_id: int, split: SplitName
) -> dict[ModelKey, dict[int, int]]:
    """By each model of a batch, except those that were trained before bands were kept."""
    rows = connection.execute(
        select(_band.model_no, _band.model_sub_no, _band.band, _band.n_rows).where(
            _band.batch_id == batch_id, _band.split == split
        )
    )
    found: defaultdict[ModelKey, dict[int, int]] = defaultdict(dict)
    for model_no, model_sub_no, band, n_rows in rows:
        found[model_no, model_sub_no][band] = n_rows
    return dict(found)
