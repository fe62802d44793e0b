"""What a worker keeps between tasks: its connections to the model store and its local cache."""

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from configs import settings as configuration
from configs.errors import BadSetting, DiskFull, HostUnfit, StoreRefused
from configs.settings import PREFIX, SECRETS, Settings
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store, Stored
from storage.cache import Cache, open_cache

# A host that fails each task at once would take them all from those that work.
_UNFIT_PAUSE_SECONDS = 5.0

# Paths belong to a host: where a worker's own environment names one, it beats the launcher's.
_OF_THE_HOST = ("cache_dir", "log_dir", "sftp_key_file", "sftp_known_hosts")


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

    def put(self, uri: str, file: Path) -> Stored:
        with _on_this_host():
            return self.store.put(uri, file)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder for files on their way to the store; it is gone at the end."""
        with _on_this_host(), tempfile.TemporaryDirectory(prefix="deepcredit-") as name:
            yield Path(name)


def pack(settings: Settings) -> str:
    """The launcher's settings as a task carries them: no secrets, absolute paths."""
    values = settings.model_dump(mode="json", exclude={*SECRETS, "cluster"})
    for name in ("cache_dir", "log_dir"):
        values[name] = str(Path(values[name]).absolute())
    if "://" not in values["store_url"]:
        values["store_url"] = str(Path(values["store_url"]).absolute())
    return json.dumps(values, sort_keys=True)


def unpack(packed: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings on the worker: the launcher's, with this host's paths and secrets."""
    values: dict[str, Any] = json.loads(packed)
    for name in _OF_THE_HOST:
        if f"{PREFIX}{name.upper()}" in environ:
            values.pop(name)
    return configuration.load(values, environ=environ)


@lru_cache(maxsize=1)
def workplace(packed: str) -> Workplace:
    """The process's workplace; opened once, since connections are dear and tasks are many.

    Raises:
        HostUnfit: this host's own settings are wrong.
    """
    with _on_this_host():
        settings = unpack(packed)
        return Workplace(open_store(settings), open_cache(settings))


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
