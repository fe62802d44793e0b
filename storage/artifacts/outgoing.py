"""A local file on its way out to the store: hashed as it is read, and known how far it has come."""

import hashlib
from collections.abc import Iterator
from pathlib import Path


class Outgoing:
    """`confirmed` is where a broken transfer goes on; hash and size are of the last reading."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.confirmed = 0
        self.size = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def chunks(self, length: int) -> Iterator[bytes]:
        """The bytes from `confirmed` on. Those before it are read again, to be hashed."""
        self._hash, self.size = hashlib.sha256(), 0
        left = self.confirmed
        with self.source.open("rb") as stream:
            while chunk := stream.read(min(length, left) if left else length):
                self._hash.update(chunk)
                self.size += len(chunk)
                if left:
                    left -= len(chunk)
                else:
                    yield chunk
