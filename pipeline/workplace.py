"""What a worker keeps between tasks: its connections to the model store and its local cache."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs import settings as configuration
from configs.errors import BadSetting, DiskFull, HostUnfit, StoreRefused
from configs.settings import OF_A_HOST, PATHS_OF_A_HOST, PREFIX, Settings
from pipeline import marks, run_files
from storage import scratch
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store, Stored
from storage.cache import Cache, open_cache

# A host that fails each task at once would take them all from those that work.
_UNFIT_PAUSE_SECONDS = 5.0

_KEPT = 4  # workplaces: launchers with other stores may share a cluster

_SHARED = ("store_url", "store_patience_seconds")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A model store and a cache, for as long as the process lives.

    Every method may raise HostUnfit: other hosts may be able to do the task.
    """

    store: Store
    cache: Cache

    def fetch(self, stored: Stored) -> Path:
        """A verified local copy."""
        with _on_this_host():
            return self.cache.fetch(self.store, stored.uri, stored.sha256)

    def put(self, uri: str, source: Path) -> Stored:
        """Keep a file of a run, under a name of this execution alone."""
        with _on_this_host():
            return self.store.put(run_files.of_one_execution(uri), source)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder for files on their way to the store; it is gone at the end."""
        with _on_this_host(), scratch.folder() as folder:
            yield folder


def pack(settings: Settings) -> str:
    """What a worker must know of the launcher's settings, as a task carries it: no secrets,
    absolute paths. Launchers that differ in other settings share one workplace.
    """
    values = settings.model_dump(mode="json", include={*_SHARED, *OF_A_HOST})
    paths = list(PATHS_OF_A_HOST)
    if "://" not in values["store_url"]:
        paths.append("store_url")
    for name in paths:
        if values[name] and not values[name].startswith("~"):  # of the worker's own account
            values[name] = str(Path(values[name]).absolute())
    return json.dumps(values, sort_keys=True)


def unpack(packed: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings on the worker: the launcher's, with what is this host's own, and its secrets."""
    values: dict[str, Any] = json.loads(packed)
    for name in OF_A_HOST:
        if f"{PREFIX}{name.upper()}" in environ:
            values.pop(name)
    return configuration.load(values, environ=environ)


class Workplaces:
    """Workplaces of this process by what was packed, for any number of threads; those that were
    longest not asked for are closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Workplace] = {}

    def get(self, packed: str) -> Workplace:
        with self._lock:
            place = self._open.pop(packed, None) or _opened(packed)
            self._open[packed] = place
            while len(self._open) > _KEPT:
                self._open.pop(next(iter(self._open))).store.close()
        return place


_workplaces = Workplaces()


def workplace(packed: str) -> Workplace:
    """The process's workplace; opened once, since connections are dear and tasks are many.

    Raises:
        HostUnfit: this host's own settings are wrong.
    """
    with _on_this_host():
        return _workplaces.get(packed)


def _opened(packed: str) -> Workplace:
    settings = unpack(packed)
    cache = open_cache(settings)
    scratch.clean()
    cache.clean()
    store = open_store(settings)
    if marks.is_empty(store):  # the launcher has at least marked it
        store.close()
        raise BadSetting(f"{store} is empty here; is its disk mounted on this host?")
    return Workplace(store, cache)


@contextmanager
def _on_this_host() -> Iterator[None]:
    """What is the fault of the host, and neither of the task nor of what all hosts share. The
    launcher has read and written the same store before it sent a task.
    """
    try:
        yield
    except (BadSetting, DiskFull, StoreRefused, OSError) as error:
        time.sleep(_UNFIT_PAUSE_SECONDS)
        raise HostUnfit(f"{socket.gethostname()}: {type(error).__name__}: {error}") from error
