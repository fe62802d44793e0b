"""Registered data sets: rows of dc_dataset and dc_dataset_column."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from configs.errors import BadData, NotFound
from configs.meant import meant, some
from storage.dataset_use import newest_used
from storage.records import Dataset, DatasetColumn
from storage.schema import dc_dataset, dc_dataset_column

_HEAD = tuple(column for column in dc_dataset.c if column.name != "created_at")


def register(connection: Connection, dataset: Dataset) -> None:
    """Insert the data set and its columns.

    Raises:
        BadData: group and version are taken.
    """
    group, version = dataset.dataset_group, dataset.dataset_version
    if _one(connection, group, version) is not None:
        free = next_version(connection, group)
        raise BadData(
            f"data set {dataset.name} exists already; leave --version out for the next free "
            f"one, {free}"
        )
    head = {column.name: getattr(dataset, column.name) for column in _HEAD}
    unregister(connection, group, version)  # columns that a deletion by hand has left
    connection.execute(insert(dc_dataset), head)
    key = {"dataset_group": group, "dataset_version": version}
    rows = [
        key
        | asdict(column)
        | {"missing_values": json.dumps(column.missing_values, ensure_ascii=False)}
        for column in dataset.columns
    ]
    connection.execute(insert(dc_dataset_column), rows)


def unregister(connection: Connection, group: str, version: int) -> None:
    """Remove the data set and its columns, as far as they are there; its table stays."""
    for table in (dc_dataset_column, dc_dataset):
        connection.execute(delete(table).where(_is(table, group, version)))


def read(connection: Connection, group: str, version: int) -> Dataset:
    """A registered data set with its columns.

    Raises:
        NotFound: there is none; the message lists what there is.
    """
    head = _one(connection, group, version)
    if head is None:
        raise NotFound(f"unknown data set {group}/{version}; {_what_exists(connection, group)}")
    columns = _columns().where(_is(dc_dataset_column, group, version))
    (found,) = _datasets(connection, [head], columns)
    return found


def listing(connection: Connection) -> tuple[Dataset, ...]:
    """Every data set, by group and version."""
    heads = connection.execute(
        select(*_HEAD).order_by(dc_dataset.c.dataset_group, dc_dataset.c.dataset_version)
    ).all()
    return tuple(_datasets(connection, heads, _columns()))


def same_content(connection: Connection, dataset: Dataset) -> tuple[str, ...]:
    """Versions of its group with the same rows and columns, by number."""
    known = dc_dataset.c
    versions = connection.scalars(
        select(known.dataset_version)
        .where(known.dataset_group == dataset.dataset_group)
        .where(known.content_sha256 == dataset.content_sha256)
        .order_by(known.dataset_version)
    )
    return tuple(f"{dataset.dataset_group}/{version}" for version in versions)


def next_version(connection: Connection, group: str) -> int:
    """One more than the newest version of the group, be it deleted, if something was made of it: a
    number stands for the same rows for ever. 1 for a new group.
    """
    newest = connection.execute(
        select(func.max(dc_dataset.c.dataset_version)).where(dc_dataset.c.dataset_group == group)
    ).scalar()
    return max(newest or 0, newest_used(connection, group)) + 1


def _one(connection: Connection, group: str, version: int) -> Row[Any] | None:
    return connection.execute(select(*_HEAD).where(_is(dc_dataset, group, version))).first()


def _is(table: Any, group: str, version: int) -> Any:
    return (table.c.dataset_group == group) & (table.c.dataset_version == version)


def _columns() -> Select[Any]:
    return select(dc_dataset_column).order_by(dc_dataset_column.c.position)


def _datasets(
    connection: Connection, heads: Sequence[Row[Any]], columns: Select[Any]
) -> list[Dataset]:
    of: dict[tuple[str, int], list[DatasetColumn]] = defaultdict(list)
    for row in connection.execute(columns):
        record = replace(DatasetColumn.from_row(row), missing_values=_missing_values(row))
        of[row.dataset_group, row.dataset_version].append(record)
    return [
        Dataset(**head._asdict(), columns=tuple(of[head.dataset_group, head.dataset_version]))
        for head in heads
    ]


def _missing_values(row: Row[Any]) -> tuple[str, ...]:
    """Operators may write this column themselves, and numbers as numbers: [96, 98]."""
    try:
        found = json.loads(row.missing_values or "[]", parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadData(
            f"data set {row.dataset_group}/{row.dataset_version}: column {row.column_name!r}: "
            f"missing_values of dc_dataset_column is {row.missing_values:.80}; it must be a list, "
            'such as ["96", "98"]'
        )
    return tuple(found)


def _what_exists(connection: Connection, group: str) -> str:
    versions = connection.execute(
        select(dc_dataset.c.dataset_version)
        .where(dc_dataset.c.dataset_group == group)
        .order_by(dc_dataset.c.dataset_version)
    ).scalars()
    there = [f"{group}/{version}" for version in versions]
    if there:
        return f"there are: {some(there, 20)}"
    newest = connection.execute(
        select(dc_dataset.c.dataset_group, func.max(dc_dataset.c.dataset_version))
        .group_by(dc_dataset.c.dataset_group)
        .order_by(dc_dataset.c.dataset_group)
    ).all()
    if not newest:
        return "there are none yet: load one with `deepcredit dataset load`"
    there = [f"{name}/{version}" for name, version in newest]
    return f"{meant(group, (name for name, _ in newest))}there are: {some(there, 20)}"
