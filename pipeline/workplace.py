"""What a worker keeps between tasks: its connections to the model store and its local cache."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from configs import settings as configuration
from configs.settings import PREFIX, SECRETS, Settings
from pipeline import run_files
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store, Stored
from storage.cache import Cache, open_cache

# Paths belong to a host: where a worker's own environment names one, it beats the launcher's.
_OF_THE_HOST = ("cache_dir", "log_dir", "sftp_key_file", "sftp_known_hosts")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A model store and a cache, for as long as the process lives."""

    store: Store
    cache: Cache

    def fetch(self, stored: Stored) -> Path:
        """A verified local copy."""
        return self.cache.fetch(self.store, stored.uri, stored.sha256)

    def put(self, uri: str, source: Path) -> Stored:
        """Keep a file of a run, under a name of this execution alone."""
        return self.store.put(run_files.of_one_execution(uri), source)


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
    """The process's workplace; opened once, since connections are dear and tasks are many."""
    settings = unpack(packed)
    return Workplace(open_store(settings), open_cache(settings))
