"""What names a data set, and what a deletion by hand leaves of one."""

from shlex import quote

from sqlalchemy import ColumnElement, Connection, and_, exists, func, inspect, or_, select

from configs.errors import WrongState
from configs.meant import some
from storage.claimable import is_open
from storage.records import Dataset
from storage.schema import (
    dc_batch,
    dc_batch_result,
    dc_dataset,
    dc_dataset_column,
    dc_ensemble_model,
    dc_model,
    dc_split,
)
from storage.table_names import PREFIX

_SHOWN = 20
_batch = dc_batch.c
_column = dc_dataset_column.c


def require_unneeded(connection: Connection, dataset: Dataset, *, force: bool = False) -> list[str]:
    """Return the ended batches whose models were made of it, in words.

    Raises:
        WrongState: a batch that has not ended needs it, or, without `force`, models do.
    """
    if waiting := _in_words(connection, is_open, _needs(dataset)):
        raise WrongState(
            f"data set {dataset.name} is needed by {some(waiting, _SHOWN)}, not at an end yet; "
            "cancel such a batch, or wait until it has ended"
        )
    has_models = exists().where(dc_model.c.batch_id == _batch.batch_id)
    models = _in_words(connection, ~is_open, _names(dataset), has_models)
    if models and not force:
        raise WrongState(
            f"data set {dataset.name} is needed by models of {some(models, _SHOWN)}: to run again, "
            "to predict the rows set aside, to replace lost scores of an ensemble; delete those "
            "batches first, or say --force"
        )
    return models


def sharing(connection: Connection, dataset: Dataset) -> list[str]:
    """The other data sets of its table."""
    known = dc_dataset.c
    rows = connection.execute(
        select(known.dataset_group, known.dataset_version)
        .where(func.lower(known.table_name) == dataset.table_name.lower())
        .order_by(known.dataset_group, known.dataset_version)
    )
    return [name for group, version in rows if (name := f"{group}/{version}") != dataset.name]


def newest_used(connection: Connection, group: str) -> int:
    """The highest version of a group of which something was made, whether it is there or not."""
    left = exists().where(dc_batch_result.c.batch_id == _batch.batch_id)
    highest = (
        select(func.max(_batch.dataset_version)).where(_batch.dataset_group == group, left),
        select(func.max(dc_split.c.dataset_version)).where(dc_split.c.dataset_group == group),
    )
    return max(connection.scalar(query) or 0 for query in highest)


def tableless(connection: Connection) -> list[str]:
    """Data sets whose table this account does not see, with what to do, a line each."""
    known, seen = dc_dataset.c, inspect(connection)
    there = {name.lower() for name in (*seen.get_table_names(), *seen.get_view_names())}
    sets = (known.dataset_group, known.dataset_version)
    return [
        f"data set {group}/{version}: there is no table or view {table}, or this account may not "
        f"read it; bring it back, or `deepcredit dataset delete {quote(f'{group}/{version}')}`"
        for group, version, table in connection.execute(
            select(*sets, known.table_name).order_by(*sets)
        )
        if table.lower() not in there
    ]


def leftovers(connection: Connection) -> list[str]:
    """Tables and columns of no data set, with what removes them, a line each."""
    known = set(connection.scalars(select(func.lower(dc_dataset.c.table_name))))
    tables = [
        f"table {name} belongs to no data set; unless a load runs now: DROP TABLE {name}"
        for name in sorted(inspect(connection).get_table_names())
        if name.startswith(PREFIX) and name not in known
    ]
    same = and_(
        dc_dataset.c.dataset_group == _column.dataset_group,
        dc_dataset.c.dataset_version == _column.dataset_version,
    )
    sets = (dc_dataset.c.dataset_group, dc_dataset.c.dataset_version)
    bare = connection.execute(select(*sets).where(~exists().where(same)).order_by(*sets))
    renamed = some([f"{group}/{version}" for group, version in bare], _SHOWN)
    remedy = f"if they are of {renamed}, give them its name, else " if renamed else ""
    key = (_column.dataset_group, _column.dataset_version)
    columns = [
        f"dc_dataset_column has rows of {group}/{version}, which is not in dc_dataset; "
        f"{remedy}delete them"
        for group, version in connection.execute(
            select(*key).where(~exists().where(same)).distinct().order_by(*key)
        )
    ]
    return tables + columns


def _names(dataset: Dataset) -> ColumnElement[bool]:
    return and_(
        _batch.dataset_group == dataset.dataset_group,
        _batch.dataset_version == dataset.dataset_version,
    )


def _needs(dataset: Dataset) -> ColumnElement[bool]:
    """A batch names it, or predicts with models of one that does and names none itself."""
    naming = select(_batch.batch_id).where(_names(dataset)).scalar_subquery()
    drawing = select(dc_ensemble_model.c.batch_id).where(
        dc_ensemble_model.c.model_batch_id.in_(naming)
    )
    inherits = or_(_batch.dataset_group.is_(None), _batch.dataset_version.is_(None))
    parent = _batch.train_batch_id
    return or_(_names(dataset), and_(inherits, or_(parent.in_(naming), parent.in_(drawing))))


def _in_words(connection: Connection, *conditions: ColumnElement[bool]) -> list[str]:
    rows = connection.execute(
        select(_batch.batch_id, _batch.mode).where(*conditions).order_by(_batch.batch_id)
    )
    return [f"{mode or ''} batch {number}".lstrip() for number, mode in rows]
