"""Model stores of both kinds, for what each must do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configs.settings import load
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store


@dataclass(frozen=True)
class Place:
    """A store, what opens it anew, and the folder in which its files lie."""

    store: Store
    settings: dict[str, str]
    root: Path


@contextmanager
def opened(settings: dict[str, object], root: Path) -> Iterator[Place]:
    store = open_store(load(settings, environ={}, file=Path("none")))
    yield Place(store, {name: str(value) for name, value in settings.items()}, root)
    store.close()
