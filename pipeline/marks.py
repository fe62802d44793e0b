"""What a model store bears: the marks of databases, and files of batches."""

from pipeline.orphans import owner_of
from pipeline.run_files import FOLDERS
from storage.artifacts.port import Store
from storage.artifacts.uris import is_id

MARKS = "database/"
"""Each file below is named by the id of a database."""


def is_mark(uri: str) -> bool:
    return uri.startswith(MARKS)


def marks(store: Store) -> set[str]:
    """The ids of databases. What file servers and people leave in the folder besides is no mark."""
    return {name for uri in store.walk(MARKS[:-1]) if is_id(name := uri.removeprefix(MARKS))}


def is_filled(store: Store) -> bool:
    """Whether batches have put files there. The rest of a disk need not be ours to read, such as
    lost+found.
    """
    return any(owner_of(uri) for folder in FOLDERS for uri in store.walk(folder))


def is_empty(store: Store) -> bool:
    """Whether no batch has written to it."""
    return not marks(store) and not is_filled(store)
