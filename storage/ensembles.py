"""What ensemble batches leave behind: one report, made of the ranges in ensemble_ranges.py.

As in results.py, writers are called in a transaction that holds the batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import pyarrow as pa
from sqlalchemy import Connection, Table, delete, insert, select

from configs.metric_names import COUNTS, METRICS
from storage.bulk_write import fill
from storage.housekeeping import delete_ensembles
from storage.records import ModelName, Record
from storage.schema import (
    dc_batch_detail_t4,
    dc_batch_histogram,
    dc_batch_method,
    dc_batch_picture,
    dc_batch_result_t4,
    dc_ensemble_model,
    dc_ensemble_range,
)

REPORT_ROWS = 50_000
"""So many rows of a former report are deleted in one transaction, in half a second on SQLite."""

_REPORT = (
    dc_ensemble_model,
    dc_batch_detail_t4,
    dc_batch_method,
    dc_batch_histogram,
    dc_batch_picture,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member(Record):
    """A model that an ensemble batch drew from, with the threshold at which it voted."""

    position: int
    model_batch_id: int
    model_no: int
    model_sub_no: int
    model_id: str
    threshold: float
    sha256: str

    @property
    def name(self) -> ModelName:
        return self.model_batch_id, self.model_no, self.model_sub_no


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One way to combine the candidates on one part, as in dc_batch_method."""

    method: str
    split: Literal["valid", "test"]
    chosen: bool
    n_models: int
    n_rows: int
    threshold: float | None
    metrics: Mapping[str, float | int | None]
    metric: str
    low: float | None = None
    high: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    parameters: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail(Record):
    """The members of one round of an ensemble: a JSON list of [batch_id, model_no, model_sub_no]"""

    ensemble_no: int
    round_no: int
    members: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin(Record):
    """How many ensembles have a metric from `bin_from` up to `bin_to`; None: it is undefined."""

    metric: str
    split: Literal["valid", "test"]
    bin_no: int
    bin_from: float | None
    bin_to: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture(Record):
    name: str
    uri: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleReport:
    """Everything that a finished ensemble batch reports, except the ranked ensembles."""

    members: Sequence[Member] = ()
    details: Sequence[Detail] = ()
    methods: Sequence[Method] = ()
    bins: Sequence[Bin] = ()
    pictures: Sequence[Picture] = ()


def forget_report(connection: Connection, batch_id: int) -> bool:
    """Delete what an earlier run reported, or some of it; to be called, each time in a transaction
    of its own, until it returns False.
    """
    _delete(connection, _REPORT, batch_id)
    return delete_ensembles(connection, batch_id, REPORT_ROWS) > 0


def put_ranked(connection: Connection, batch_id: int, ranked: pa.Table) -> None:
    """Add rows of dc_batch_result_t4, given without their batch_id. Afterwards all of them are
    there, also if some were before.

    They go by bulk load where the connection is of `bulk_engine.bulk_engine`.
    """
    first = select(dc_batch_result_t4.c.rank_no).where(
        dc_batch_result_t4.c.batch_id == batch_id,
        dc_batch_result_t4.c.ensemble_no == ranked["ensemble_no"][0].as_py(),
    )
    if connection.execute(first).first() is not None:  # a COMMIT that nobody answered
        return
    numbers = pa.array([batch_id] * ranked.num_rows, pa.int64())
    fill(connection, dc_batch_result_t4, ranked.add_column(0, "batch_id", numbers))


def put_report(connection: Connection, batch_id: int, report: EnsembleReport) -> None:
    """Replace the report, and forget the finished ranges that it is made of."""
    _delete(connection, (*_REPORT, dc_ensemble_range), batch_id)
    _insert(connection, dc_ensemble_model, batch_id, map(asdict, report.members))
    _insert(connection, dc_batch_detail_t4, batch_id, map(asdict, report.details))
    _insert(connection, dc_batch_histogram, batch_id, map(asdict, report.bins))
    _insert(connection, dc_batch_picture, batch_id, map(asdict, report.pictures))
    _insert(connection, dc_batch_method, batch_id, map(_columns, report.methods))


def members(connection: Connection, batch_id: int) -> tuple[Member, ...]:
    """The models that a finished ensemble batch drew from, by position; none: it has no report."""
    rows = connection.execute(
        select(dc_ensemble_model)
        .where(dc_ensemble_model.c.batch_id == batch_id)
        .order_by(dc_ensemble_model.c.position)
    )
    return tuple(map(Member.from_row, rows))


def methods(connection: Connection, batch_id: int) -> tuple[Method, ...]:
    """The methods of a finished ensemble batch, each on valid and on test, by name."""
    table = dc_batch_method
    rows = connection.execute(
        select(table)
        .where(table.c.batch_id == batch_id)
        .order_by(table.c.method, table.c.split.desc())
    ).mappings()
    plain = [f.name for f in fields(Method) if f.name not in ("chosen", "metrics")]
    return tuple(
        Method(
            chosen=bool(row["chosen"]),
            metrics={name: row[name] for name in (*COUNTS, *METRICS)},
            **{name: row[name] for name in plain},
        )
        for row in rows
    )


def pictures(connection: Connection, batch_id: int) -> tuple[Picture, ...]:
    """The pictures of a batch, by name."""
    rows = connection.execute(
        select(dc_batch_picture)
        .where(dc_batch_picture.c.batch_id == batch_id)
        .order_by(dc_batch_picture.c.name)
    )
    return tuple(map(Picture.from_row, rows))


def _columns(method: Method) -> dict[str, Any]:
    columns = asdict(method)
    metrics: dict[str, Any] = columns.pop("metrics")
    return columns | metrics | {"chosen": int(method.chosen)}


def _delete(connection: Connection, tables: Iterable[Table], batch_id: int) -> None:
    for table in tables:
        connection.execute(delete(table).where(table.c.batch_id == batch_id))


def _insert(
    connection: Connection, table: Table, batch_id: int, rows: Iterable[Mapping[str, Any]]
) -> None:
    values = [{"batch_id": batch_id, **row} for row in rows]
    if values:
        connection.execute(insert(table), values)
