"""The table a data set is loaded into: written, compared with the file, dropped on failure."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pyarrow as pa
from sqlalchemy import Engine

from configs.errors import BadData, DatabaseUnavailable
from configs.wording import counted
from storage import datasets, table_names, tables
from storage.content import of_digests
from storage.engine import reading
from storage.records import Dataset
from storage.rows import read_digests


def write(
    engine: Engine,
    dataset: Dataset,
    stored: pa.Table,
    progress: Callable[[float], None],
    *,
    next_if_taken: bool,
) -> Dataset:
    """Put `stored` into a new table; the data set then names it. A table that stands in the way
    belongs to a load that runs now, or to one whose process was killed: with `next_if_taken` the
    next version is taken instead.
    """
    for version in count(dataset.dataset_version):
        name = table_names.table_name(dataset.dataset_group, version)
        try:
            order_column = tables.write(engine, name, stored, progress)
        except tables.TableExists:
            if not next_if_taken:
                _refuse_registered(engine, name)
                raise
        else:
            return replace(
                dataset, dataset_version=version, table_name=name, order_column=order_column
            )
    raise AssertionError("unreachable")


def compare(engine: Engine, dataset: Dataset, digests: Mapping[str, bytes]) -> None:
    """Raise BadData if the table does not hold what the file held: columns of these digests."""
    with reading(engine) as connection:
        found, n_rows = read_digests(connection, dataset)
    if of_digests(found, n_rows) == dataset.content_sha256:
        return
    for name, digest in digests.items():
        if found[name] != digest:
            raise BadData(
                f"column {name!r} came back from the database with other values "
                f"({counted(n_rows, 'row')}, {dataset.n_rows:,} in the file); "
                "nothing was registered"
            )


def undo(engine: Engine, dataset: Dataset) -> None:
    """Drop the table of a load that failed, unless it is registered all the same: then the
    database committed and only its answer was lost.
    """
    with suppress(DatabaseUnavailable):  # what failed first says more
        with reading(engine) as connection:
            known = datasets.listing(connection)
        if all(other.table_name != dataset.table_name for other in known):
            tables.drop(engine, dataset.table_name)


def _refuse_registered(engine: Engine, table_name: str) -> None:
    """Names of tables know no case, so groups that differ by it alone meet here."""
    with reading(engine) as connection:
        known = datasets.listing(connection)
    for other in known:
        if other.table_name == table_name:
            raise BadData(
                f"table {table_name!r} holds data set {other.name}; leave --version out, or give "
                "the group another name"
            )
