"""The rows of a data set in their canonical order, read from whichever database holds them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from configs.errors import BadData, NotFound
from configs.wording import counted
from storage import bulk_read
from storage.content import canonical_of, columns_in, digests_of_stored
from storage.records import Dataset, DatasetColumn


def columns_read(columns: Sequence[DatasetColumn]) -> tuple[DatasetColumn, ...]:
    """The columns that make the data set; an ignored one may change without changing it."""
    return tuple(column for column in columns if column.role != "ignore")


def read_rows(connection: Connection, dataset: Dataset) -> pa.Table:
    """The canonical columns of a data set (see storage.content), its rows in canonical order.

    Raises:
        NotFound: its table has gone.
        BadData: no column is registered, one has gone or holds what it cannot, or the order is
            not unique.
    """
    if not dataset.columns:
        raise BadData(
            f"data set {dataset.name} has no columns in dc_dataset_column; if it had another name, "
            "change dataset_group and dataset_version there as in dc_dataset"
        )
    columns = columns_read(dataset.columns)
    raw = _read(connection, dataset, [column.column_name for column in columns])
    return arrange(raw, columns, dataset.order_column, dataset.id_column)


def read_digests(connection: Connection, dataset: Dataset) -> tuple[dict[str, bytes], int]:
    """The digests of `read_rows` of a data set that has an order, and how many rows it has; its
    canonical columns are not there at once. Raises as `read_rows`.
    """
    assert dataset.order_column is not None
    columns = columns_read(dataset.columns)
    raw = _read(connection, dataset, [column.column_name for column in columns])
    order = _by_number(dataset.order_column, raw.pop(dataset.order_column))
    rows = pa.table(raw)
    return digests_of_stored(rows, columns, order), rows.num_rows


def _read(
    connection: Connection, dataset: Dataset, names: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    order, n_rows = dataset.order_column, dataset.n_rows
    try:
        table = bulk_read.read_table(
            connection, dataset.table_name, names, order_column=order, n_rows=n_rows
        )
    except NotFound as error:
        raise NotFound(
            f"data set {dataset.name}: {error}; bring it back from a backup, or load the file again"
        ) from error
    return columns_in(table)


def arrange(
    raw: dict[str, pa.ChunkedArray],
    columns: Sequence[DatasetColumn],
    order_column: str | None,
    id_column: str | None,
) -> pa.Table:
    """Canonical columns in an order that no database's whim can change: by `order_column`; else
    by `id_column`, as text; else by all columns, which leaves only identical rows to chance.
    The columns are taken out of `raw`.
    """
    rows = canonical_of(raw, columns)
    if order_column is not None:
        indices = _by_number(order_column, raw[order_column])
    elif id_column is not None:
        indices = _by_id(id_column, rows.column(id_column))
    else:
        keys = [(column.column_name, "ascending") for column in columns]
        indices = pc.sort_indices(rows, sort_keys=keys)
    return rows if indices is None else rows.take(indices).combine_chunks()


def _by_number(name: str, order: pa.ChunkedArray) -> pa.Array | None:
    if order.null_count:
        raise BadData(f"column {name!r} gives the rows their order, but has missing values")
    numbers = order.to_numpy()
    steps = np.diff(numbers)
    if (steps > 0).all():
        return None
    indices = np.argsort(numbers, kind="stable")
    if (np.diff(numbers[indices]) == 0).any():
        raise BadData(f"column {name!r} gives the rows their order, but has equal values")
    return pa.array(indices)


def _by_id(name: str, ids: pa.ChunkedArray) -> pa.Array:
    if ids.null_count:
        raise BadData(
            f"the id column {name!r} has {counted(ids.null_count, 'missing value')}; name a column "
            "that identifies every row, or none"
        )
    indices = pc.sort_indices(ids)
    ordered = ids.take(indices).combine_chunks()
    if len(ordered) > 1:
        same = pc.equal(ordered[1:], ordered[:-1])
        if pc.any(same).as_py():
            twice = ordered[1:].filter(same)[0].as_py()
            raise BadData(
                f"the id column {name!r} is not unique: {twice!r} stands in more than one row; "
                "name a column that identifies every row, or none"
            )
    return indices
