"""Whose a model store is: the database that fills it leaves its id there, as the name of a file.

Batches of two databases have the same numbers, and a file that the database does not name counts as
not needed. So nothing is written to a store that another database has marked, and nothing is
deleted from one that does not bear our own mark. Two databases that take an empty store at the same
moment leave two marks, which is as good as another's.
"""

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from enum import Enum

from sqlalchemy import URL

from configs.errors import StoreNotOurs, StoreUnavailable
from configs.wording import counted
from pipeline.marks import MARKS, is_filled, marks
from storage import scratch
from storage.artifacts.port import Store


class Standing(Enum):
    """What a store is to a database, unless it is another's."""

    OURS = "it bears the mark of this database"
    EMPTY = "no batch has written to it"
    UNMARKED = "it bears no mark, so nothing is deleted there: deepcredit store adopt"


def look(store: Store, database_id: str) -> Standing:
    """Raises StoreNotOurs: it bears the mark of another database."""
    owners = marks(store)
    if not owners:
        if not is_filled(store):
            return Standing.EMPTY
        owners = marks(store)  # who took it at this moment has put the mark first
    if others := sorted(owners - {database_id}):
        raise StoreNotOurs(
            f"{store} belongs to the database {' and '.join(others)}, and this one is "
            f"{database_id}; let store_url name this database's own store, or database_url the "
            "store's database. Only if this database takes the place of the other: deepcredit "
            f"store adopt {' '.join(f'--from {each}' for each in others)}"
        )
    return Standing.OURS if owners else Standing.UNMARKED


def examine(
    store: Store, database_id: str, named: Callable[[], AbstractSet[str]] = frozenset
) -> Standing:
    """As `look`, and whether an empty store is a new one. `named`: the files that the database
    names; asked for only if the store is empty.

    Raises:
        StoreNotOurs: it bears the mark of another database.
        StoreUnavailable: it is empty, and should not be.
    """
    standing = look(store, database_id)
    if standing is Standing.EMPTY and (files := named()):
        standing = look(store, database_id)  # others may have filled it and named that meanwhile
        if standing is Standing.EMPTY:
            require_none(store, files)
    return standing


def require_none(store: Store, named: AbstractSet[str]) -> None:
    """If a disk is not mounted, files are put below the place of the mount, and cannot be seen as
    soon as the disk is back.

    Raises:
        StoreUnavailable: the empty store is not the one that these files were put into.
    """
    if named:
        raise StoreUnavailable(
            f"{store} is empty, and the database names {counted(len(named), 'file')} there; is its "
            "disk mounted? If they are gone for good: deepcredit store adopt"
        )


def take(
    store: Store,
    database_id: str,
    *,
    where: URL,
    named: Callable[[], AbstractSet[str]] = frozenset,
) -> None:
    """To be called before a batch writes: the first one marks the store. Raises as `examine`."""
    if examine(store, database_id, named) is Standing.EMPTY:
        _mark(store, database_id, where)
        look(store, database_id)


def require(store: Store, database_id: str) -> None:
    """To be called before a file is deleted.

    Raises:
        StoreNotOurs: what this database does not name may be needed by another.
    """
    if look(store, database_id) is Standing.UNMARKED:
        raise StoreNotOurs(
            f"{store} bears no mark of a database, so nothing is deleted there; if its files are "
            f"those of this database ({database_id}): deepcredit store adopt"
        )


def adopt(store: Store, database_id: str, *, where: URL, instead_of: Collection[str] = ()) -> None:
    """Mark a store that others have filled; marks of databases go that are named in `instead_of`.

    Raises:
        StoreNotOurs: it bears the mark of yet another database.
    """
    others = marks(store) - {database_id}
    if others <= set(instead_of):
        _mark(store, database_id, where)
        for other in others:
            store.delete(MARKS + other)
    look(store, database_id)


def _mark(store: Store, database_id: str, where: URL) -> None:
    """Programs read the name alone; what is in it is for people."""
    with scratch.folder() as folder:
        file = folder / "mark"
        file.write_text(f"This model store belongs to {where.render_as_string()}\n")
        store.put(MARKS + database_id, file)
