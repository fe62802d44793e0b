"""Whether a store takes, gives and forgets a small file."""

import hashlib
import tempfile
from pathlib import Path
from uuid import uuid4

from storage.artifacts.port import Store

PREFIX = "probe-"


def probe(store: Store) -> None:
    """Put, get and delete a file; raises what the store raises, and leaves nothing behind."""
    content = uuid4().bytes
    with tempfile.TemporaryDirectory(prefix="deepcredit-") as folder:
        source = Path(folder, "probe")
        source.write_bytes(content)
        stored = store.put(f"{PREFIX}{content.hex()}", source)
        try:
            store.get(stored.uri, hashlib.sha256(content).hexdigest(), Path(folder, "back"))
        finally:
            store.delete(stored.uri)
