"""A data set in memory, ready to be split and prepared: labels, features, times, groups."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection

from configs.errors import BadData, DatasetChanged
from configs.wording import counted
from pipeline.labels import classes_of
from storage.column_kinds import as_code, instants
from storage.content import content_sha256, whole
from storage.records import Dataset, DatasetColumn, Role
from storage.rows import columns_read, read_rows


@dataclass(frozen=True, slots=True)
class Numeric:
    """A feature of numbers, float64, shape (n_rows,); NaN is missing."""

    name: str
    values: NDArray[np.float64]
    missing_values: tuple[str, ...] = ()
    """Sentinels; they are NaN in `values` already."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """A feature of texts: row r has categories[codes[r]], or none where codes[r] is -1."""

    name: str
    codes: NDArray[np.int32]
    categories: tuple[str, ...]
    missing_values: tuple[str, ...] = ()


Feature = Numeric | Categorical


@dataclass(frozen=True)
class Frame:
    """Rows in their canonical order. Only columns of role feature are among `features`."""

    name: str
    content_sha256: str
    n_rows: int
    y: NDArray[np.int8] | None
    features: tuple[Feature, ...]
    time: NDArray[np.int64] | None = None
    """Dense ranks, oldest 0; -1 is missing."""
    groups: NDArray[np.int64] | None = None
    """Equal numbers for equal groups; -1 is missing."""
    zeros: tuple[str, ...] = ()
    """The words of the target that mean 0, where it is known."""
    roles: Mapping[str, Role] | None = None
    """The role of every column of the data set, to say why one is no feature."""

    @cached_property
    def by_name(self) -> Mapping[str, Feature]:
        return {feature.name: feature for feature in self.features}

    @property
    def labels(self) -> NDArray[np.int8]:
        """`y` of a data set that must have a target.

        Raises:
            BadData: it has none.
        """
        if self.y is None:
            raise BadData(f"data set {self.name} has no target; register it with --target COLUMN")
        return self.y


def read_from(connection: Connection, dataset: Dataset) -> Frame:
    """Read a data set and check that it is still what was registered.

    Raises:
        DatasetChanged: rows, values or their order are not those that were registered.
        BadData: it is empty, a column has gone, or the target is not 0 and 1.
        NotFound: its table has gone.
    """
    return frame_of(dataset, rows_of(connection, dataset))


def rows_of(connection: Connection, dataset: Dataset) -> pa.Table:
    """The canonical rows alone, as `read_from` reads and checks them."""
    rows = read_rows(connection, dataset)
    sha256 = content_sha256(rows, columns_read(dataset.columns))
    if sha256 != dataset.content_sha256:
        raise DatasetChanged(
            f"data set {dataset.name} has changed since it was registered (table "
            f"{dataset.table_name!r}: {counted(rows.num_rows, 'row')} now, {dataset.n_rows:,} "
            f"then; content {sha256[:12]} now, {dataset.content_sha256[:12]} then); load it as a "
            "new version"
        )
    return rows


def frame_of(dataset: Dataset, rows: pa.Table) -> Frame:
    """A frame of canonical rows (see storage.content), which it shares where it can."""
    if rows.num_rows == 0:
        raise BadData(f"data set {dataset.name} is empty: table {dataset.table_name!r} has no rows")
    y, zeros = classes_in(dataset, rows)
    return Frame(
        name=dataset.name,
        content_sha256=dataset.content_sha256,
        n_rows=rows.num_rows,
        y=y,
        zeros=zeros,
        features=tuple(feature_of(column, rows) for column in dataset.columns_of("feature")),
        time=_ranks(dataset.column_of("time"), rows, instants),
        groups=_ranks(dataset.column_of("group"), rows, _as_text),
        roles={column.column_name: column.role for column in dataset.columns},
    )


def classes_in(dataset: Dataset, rows: pa.Table) -> tuple[NDArray[np.int8] | None, tuple[str, ...]]:
    """Labels of canonical rows, and the words of class 0; none where there is no target."""
    column = dataset.column_of("target")
    if column is None:
        return None, ()
    values = rows.column(column.column_name)
    return classes_of(values, column, dataset.positive_value, f"data set {dataset.name}")


def feature_of(column: DatasetColumn, rows: pa.Table) -> Feature:
    """A column of canonical rows, with the values that mean missing as missing."""
    values = whole(rows.column(column.column_name))
    # A table that is not ours may name its columns in another form than the training set's.
    name, missing = unicodedata.normalize("NFC", column.column_name), column.missing_values
    if column.kind == "numeric":
        numbers = values.to_numpy(zero_copy_only=True)
        return Numeric(name, without(numbers, missing), missing)
    codes, categories = _encoded(values)
    return Categorical(name, _without_categories(codes, categories, missing), categories, missing)


def without(numbers: NDArray[np.float64], missing: tuple[str, ...]) -> NDArray[np.float64]:
    """Sentinels and infinities as NaN; the same array if it has none."""
    gone = np.isinf(numbers)
    for sentinel in sentinels_of(missing):
        gone |= numbers == sentinel
    return np.where(gone, np.nan, numbers) if gone.any() else numbers


def sentinels_of(missing: tuple[str, ...]) -> tuple[float, ...]:
    """Those words that mean missing which are numbers."""
    numbers = []
    for word in missing:
        with suppress(ValueError):
            numbers.append(float(word))
    return tuple(numbers)


def _encoded(values: pa.Array) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    encoded = values.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False), tuple(encoded.dictionary.to_pylist())


def _without_categories(
    codes: NDArray[np.int32], categories: tuple[str, ...], missing: tuple[str, ...]
) -> NDArray[np.int32]:
    if not missing:  # there may be a million categories
        return codes
    words = set(map(as_code, missing))
    gone = [code for code, category in enumerate(categories) if as_code(category) in words]
    if not gone:
        return codes
    return np.where(np.isin(codes, gone), np.int32(-1), codes)


def _ranks(
    column: DatasetColumn | None,
    rows: pa.Table,
    order: Callable[[str, Sequence[str]], NDArray[Any]],
) -> NDArray[np.int64] | None:
    """Dense ranks of a column; `order` gives for its name and texts what to rank by."""
    if column is None:
        return None
    values = whole(rows.column(column.column_name))
    if column.kind == "numeric":
        numbers = without(values.to_numpy(zero_copy_only=True), column.missing_values)
        known = ~np.isnan(numbers)
        ranks = np.full(len(numbers), -1, np.int64)
        ranks[known] = np.unique(numbers[known], return_inverse=True)[1]
        return ranks
    codes, categories = _encoded(values)
    codes = _without_categories(codes, categories, column.missing_values)
    used = np.unique(codes[codes >= 0])
    by = order(column.column_name, [categories[code] for code in used])
    rank_of = np.full(len(categories) + 1, -1, np.int64)  # the last is for code -1
    rank_of[used] = np.unique(by, return_inverse=True)[1]
    return rank_of[codes]


def _as_text(_name: str, texts: Sequence[str]) -> NDArray[Any]:
    return np.array(texts, dtype=object)
