"""Use cases of data sets: load a file into a table of its own, register a table that exists,
delete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Engine

from configs.errors import BadData, NotFound
from configs.meant import some
from configs.wording import counted
from pipeline import disguise, loaded_table
from pipeline.labels import classes_of
from pipeline.progress import Report
from pipeline.roles import Choices, Tell, describe
from storage import bulk_read, catalogue, dataset_use, datasets, files, table_names, tables
from storage.content import canonical, columns_in, digests, digests_of_stored, of_digests
from storage.engine import reading, transaction
from storage.records import Dataset, DatasetColumn
from storage.rows import arrange, columns_read

_MAX_GROUP = 100


def _silent(*_said: object) -> None:
    """For callers that show nothing."""


def load_file(
    engine: Engine,
    path: Path,
    *,
    group: str,
    choices: Choices,
    version: int | None = None,
    progress: Report = _silent,
    tell: Tell = _silent,
) -> Dataset:
    """Load a CSV or Parquet file into a new table and register it; `version` None is the next
    free one. What the database then returns is compared with the file, value by value.

    After an error nothing is registered and no table is left. `progress` is called with the share
    done and a word on what is being done, `tell` with what was found that a person should know.

    Raises:
        BadData: the file, a name, the target or the version cannot serve.
    """
    choices = choices.composed(names=True)
    first = _free_version(engine, group, version, tell)
    progress(0.0, f"reading {path.name}")
    file = files.File(path)
    stored, columns = describe(file.parts(), file.names, choices, str(path), tell, in_order=True)
    found = digests_of_stored(stored, columns_read(columns))
    dataset = _dataset(group, first, "", columns, choices, stored, found, str(path))
    _tell(engine, dataset, stored, tell)
    dataset = loaded_table.write(
        engine,
        dataset,
        stored,
        lambda share: progress(0.2 + 0.6 * share, f"writing {counted(dataset.n_rows, 'row')}"),
        next_if_taken=version is None,
    )
    del stored  # what is read back takes its place in memory
    pa.default_memory_pool().release_unused()  # else it keeps that, and takes more
    try:
        progress(0.8, "comparing the table with the file")
        loaded_table.compare(engine, dataset, found)
        transaction(engine, lambda connection: datasets.register(connection, dataset))
    except BaseException:
        loaded_table.undo(engine, dataset)
        raise
    progress(1.0, "done")
    return dataset


def register_table(
    engine: Engine,
    table_name: str,
    *,
    group: str,
    choices: Choices,
    version: int | None = None,
    progress: Report = _silent,
    tell: Tell = _silent,
) -> Dataset:
    """Register a table or view that exists, as it is; nothing is copied. Its rows are ordered by
    `choices.id_column`, which must be unique, else by all their values.

    Raises:
        NotFound: there is no such table or view.
        BadData: it is empty, or a column, the target or the version cannot serve.
    """
    choices = choices.composed(names=False)
    version = _free_version(engine, group, version, tell)
    progress(0.0, f"reading {table_name}")
    where = f"table {table_name!r}"
    with reading(engine) as connection:
        there = [column.name for column in catalogue.columns_of(connection, table_name)]
        wanted = [name for name in there if name not in choices.drop]
        if not wanted:
            raise BadData(f"{where} has no feature: every column is dropped")
        raw = bulk_read.read_table(connection, table_name, wanted)
    if raw.num_rows == 0:
        raise BadData(f"{where} is empty")
    progress(0.6, "finding types")
    choices = _without_row_numbers(choices, there, tell)
    stored, columns = describe([raw], there, choices, where, tell)
    taken = columns_in(stored)
    del raw, stored  # or all columns would be there twice
    rows = arrange(taken, columns_read(columns), None, choices.id_column)
    found = digests(rows, columns_read(columns))
    dataset = _dataset(group, version, table_name, columns, choices, rows, found, where)
    _tell(engine, dataset, rows, tell)
    transaction(engine, lambda connection: datasets.register(connection, dataset))
    progress(1.0, "done")
    return dataset


def delete(
    engine: Engine, group: str, version: int, *, force: bool = False, tell: Tell = _silent
) -> Dataset:
    """Remove the registration, and the table that `load_file` made; one that was only registered
    stays. `tell` hears what was left, and why.

    Raises:
        NotFound: there is no such data set.
        WrongState: a batch that has not ended needs it, or without `force` models of one that has.
        DatabaseRefused: this account may not drop the table; nothing has changed.
        DatabaseUnavailable: a transaction stays open that has used it; likewise.
    """
    with reading(engine) as connection:
        dataset = datasets.read(connection, group, version)
        models = dataset_use.require_unneeded(connection, dataset, force=force)
        sharing = dataset_use.sharing(connection, dataset)
    # Look at both: an operator's row may name any table, and we may drop tables that he may not.
    own_table = dataset.table_name == table_names.table_name(group, version)
    if own_table and dataset.order_column is not None and not sharing:
        # First: what is registered can be deleted again after a crash between the two.
        tables.drop(engine, dataset.table_name)
    else:
        not_ours = f"; load made none of this name for {dataset.name}"
        others = f": data set {some(sharing, 20)} is read from it" if sharing else not_ours
        tell(f"table {dataset.table_name} stays{others}")
    transaction(engine, lambda connection: datasets.unregister(connection, group, version))
    if models:
        tell(f"models and scores of {some(models, 20)} stay: `deepcredit batch delete`")
    return dataset


def _without_row_numbers(choices: Choices, there: Sequence[str], tell: Tell) -> Choices:
    """A view of a table that `load_file` made mostly has our row numbers too, which tell how its
    file was sorted.
    """
    chosen = {*choices.roles(), *choices.categorical}
    ours = [name for name in there if table_names.is_order_column(name) and name not in chosen]
    for name in ours:
        tell(f"{name}: row numbers of a table that `dataset load` made, ignored")
    return replace(choices, drop=(*choices.drop, *ours))


def _free_version(engine: Engine, group: str, version: int | None, tell: Tell) -> int:
    if not group.strip() or len(group) > _MAX_GROUP:
        raise BadData(f"the group must have 1 to {_MAX_GROUP} characters, not {len(group)}")
    with reading(engine) as connection:
        free = datasets.next_version(connection, group)
        if version is None:
            return free
        try:
            taken = datasets.read(connection, group, version)
        except NotFound:
            if version <= dataset_use.newest_used(connection, group):
                tell(f"{group}/{version} or a later one was deleted, and batches had used it")
            return version
    raise BadData(
        f"data set {taken.name} exists already; leave --version out for the next free one, {free}"
    )


def _dataset(
    group: str,
    version: int,
    table_name: str,
    columns: Sequence[DatasetColumn],
    choices: Choices,
    rows: pa.Table,
    found: Mapping[str, bytes],
    where: str,
) -> Dataset:
    """The record of rows and of their digests; refuses a target that is not 0 and 1."""
    rate = None
    for column in columns:
        if column.role == "target":
            target = canonical(rows.select([column.column_name]), [column]).column(0)
            y, _ = classes_of(target, column, choices.positive, where)
            rate = float(y.mean())
    return Dataset(
        dataset_group=group,
        dataset_version=version,
        table_name=table_name,
        target_column=choices.target,
        positive_value=choices.positive,
        id_column=choices.id_column,
        time_column=choices.time_column,
        order_column=None,
        n_rows=rows.num_rows,
        positive_rate=rate,
        content_sha256=of_digests(found, rows.num_rows),
        columns=tuple(columns),
    )


def _tell(engine: Engine, dataset: Dataset, rows: pa.Table, tell: Tell) -> None:
    """Tell of data sets with the same content, and of features that may be the target disguised."""
    with reading(engine) as connection:
        twins = datasets.same_content(connection, dataset)
    if twins:
        have = "data set {} has" if len(twins) == 1 else "data sets {} have"
        tell(f"{have.format(some(twins, 20))} the same content")
    for remark in disguise.remarks(dataset, rows):
        tell(remark)
