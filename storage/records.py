"""Rows of the database as frozen values; a change makes a new value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self

from configs.errors import Cancelled

State = Literal["I", "U", "C", "E"]
Role = Literal["feature", "target", "id", "time", "group", "ignore", "sensitive"]
ColumnKind = Literal["numeric", "categorical"]
SplitName = Literal["valid", "test", "all"]
ModelKey = tuple[int, int]
"""(model_no, model_sub_no), within a batch."""
ModelName = tuple[int, int, int]
"""(batch_id, model_no, model_sub_no)"""


def written(name: ModelName) -> str:
    """As people read it: batch 12, model 3/1."""
    return f"batch {name[0]}, model {name[1]}/{name[2]}"


ESTIMATE = ", about "
"""In a progress_note, what comes before the time left: it is cut off there at the end."""

WAITS = ", but "
"""The same, before what the batch waits for."""


class Record:
    """What every record shares: it is made from a row that has at least its columns.

    No type of SQLAlchemy is named here: workers carry records, and talk to no database.
    """

    __slots__ = ()

    @classmethod
    def from_row(cls, row: Any) -> Self:
        return cls(**{f.name: getattr(row, f.name) for f in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch(Record):
    """A row of dc_batch: what an operator asked for and how it stands."""

    batch_id: int
    batch_desc: str | None
    batch_param: str | None
    mode: str | None
    train_batch_id: int | None
    candidate_id: str | None
    dataset_group: str | None
    dataset_version: int | None
    model_group: str | None
    state: State
    queue: str
    priority: int
    serve_server_id: str | None
    work_date: datetime | None
    work_end_date: datetime | None
    run_after: datetime | None
    attempt: int
    max_attempts: int
    fence: int
    claim_id: str | None
    lease_until: datetime | None
    cancel_requested_at: datetime | None
    progress: float | None
    progress_note: str | None
    error_class: str | None
    error_text: str | None
    need_tag: str | None
    need_mem_mb: int | None
    created_at: datetime

    @property
    def ended(self) -> bool:
        """Whether it came to its end, as `storage.claimable.is_open` says that it did not."""
        retry = self.run_after is not None and self.attempt < self.max_attempts
        return self.state == "C" or (self.state == "E" and not retry)

    @property
    def cancelled(self) -> bool:
        """Whether it ended because an operator wanted that."""
        return self.state == "E" and self.ended and self.error_class == Cancelled.__name__

    @property
    def failure(self) -> str | None:
        """Why it ended in a final error, in one line; None: it did not."""
        if self.state != "E" or not self.ended:
            return None
        if self.cancelled:  # with which word its text begins
            return f"batch {self.batch_id} was {self._error_line or 'cancelled'}"
        return f"batch {self.batch_id} failed: {self.error}"

    @property
    def error(self) -> str:
        """What went wrong in its last run, in one line."""
        return ": ".join(filter(None, (self.error_class, self._error_line))) or "no text"

    @property
    def _error_line(self) -> str:
        return ((self.error_text or "").strip().splitlines() or [""])[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim(Record):
    """Proof that a run owns its batch. `fence` grows with every claim and names the run's files."""

    batch_id: int
    claim_id: str
    fence: int
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetColumn(Record):
    column_name: str
    position: int
    role: Role
    kind: ColumnKind
    missing_values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A registered data set. `content_sha256` is of the rows as read, in their canonical order."""

    dataset_group: str
    dataset_version: int
    table_name: str
    target_column: str | None
    positive_value: str | None
    id_column: str | None
    time_column: str | None
    order_column: str | None
    n_rows: int
    positive_rate: float | None
    content_sha256: str
    columns: tuple[DatasetColumn, ...]

    @property
    def name(self) -> str:
        return f"{self.dataset_group}/{self.dataset_version}"

    @property
    def target(self) -> str | None:
        """What a row of class 1 is, as `class = bad`."""
        if self.target_column is None:
            return None
        return f"{self.target_column} = {self.positive_value or 1}"

    def columns_of(self, role: Role) -> tuple[DatasetColumn, ...]:
        return tuple(column for column in self.columns if column.role == role)

    def column_of(self, role: Role) -> DatasetColumn | None:
        """The first of this role; target, id, time and group are given once at most."""
        return next(iter(self.columns_of(role)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry(Record):
    """A row of dc_model_list; `model_param` is the JSON as written."""

    model_no: int
    model_id: str
    model_group_id: str
    model_param: str | None
    use_yn: str
    model_desc: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Split(Record):
    """Which rows train, choose and judge. `split_id` is equal only for equal rows and labels of
    equal data; group and version are the name under which these were first seen.
    """

    split_id: str
    dataset_group: str
    dataset_version: int
    content_sha256: str
    n_train: int
    n_valid: int
    n_test: int
    uri: str
    sha256: str
    target: str | None = None

    @property
    def dataset(self) -> str:
        return f"{self.dataset_group}/{self.dataset_version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel(Record):
    """A row of dc_model: one variant, trained."""

    batch_id: int
    model_no: int
    model_sub_no: int
    fence: int
    model_id: str
    params: str
    threshold: float
    uri: str
    format: str
    sha256: str
    bytes: int
    scores_uri: str
    scores_sha256: str
    split_id: str
    preprocessor_uri: str
    preprocessor_sha256: str
    fingerprint: str
    seconds: float
    versions: str
    device: str | None = None
    row_keys_uri: str | None = None
    row_keys_sha256: str | None = None
    batch_param: str | None = None

    @property
    def key(self) -> ModelKey:
        return self.model_no, self.model_sub_no

    @property
    def name(self) -> ModelName:
        return self.batch_id, *self.key


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A row of dc_batch_result. `metrics` holds the counts and metrics by column name, `bands` the
    same of the rows of dc_score_band that belong to it.
    """

    batch_id: int
    model_no: int
    model_sub_no: int
    split: SplitName
    fence: int
    model_id: str
    state: Literal["C", "E"]
    error_class: str | None = None
    error_text: str | None = None
    n_rows: int | None = None
    threshold: float | None = None
    metrics: Mapping[str, float | int | None] = field(default_factory=dict)
    bands: tuple[Mapping[str, float | int | None], ...] = ()
    psi: float | None = None
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    scores_uri: str | None = None
    scores_sha256: str | None = None
    split_id: str | None = None
    content_sha256: str | None = None
    fingerprint: str | None = None
    note: str | None = None

    @property
    def key(self) -> ModelKey:
        return self.model_no, self.model_sub_no


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoresFile(Record):
    """A file of scores, and which rows they are of: those of `split` in the file `split_uri`, or
    all. `content_sha256` None: it was written before this was kept.
    """

    model_no: int
    model_sub_no: int
    split: SplitName
    threshold: float
    scores_uri: str
    scores_sha256: str
    content_sha256: str | None
    split_uri: str | None
    split_sha256: str | None
    dataset_group: str | None
    dataset_version: int | None
