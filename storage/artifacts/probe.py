"""Whether a store takes, gives and forgets a small file."""

import hashlib
from uuid import uuid4

from storage import scratch
from storage.artifacts.port import Store

PREFIX = "probe-"


def probe(store: Store) -> None:
    """Put, get and delete a file; raises what the store raises, and leaves nothing behind."""
    content = uuid4().bytes
    with scratch.folder() as folder:
        source = folder / "probe"
        source.write_bytes(content)
        stored = store.put(f"{PREFIX}{content.hex()}", source)
        try:
            store.get(stored.uri, hashlib.sha256(content).hexdigest(), folder / "back")
        finally:
            store.delete(stored.uri)
