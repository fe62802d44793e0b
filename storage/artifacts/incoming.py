"""A local file on its way in from the store: hashed as it grows, shown only once it is right."""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from configs.errors import ArtifactDamaged, DiskFull
from storage.artifacts.uris import unfinished


class Incoming:
    """What was received so far. `size` is where a broken transfer goes on."""

    def __init__(self, file: BinaryIO, path: Path, target: Path) -> None:
        self._file = file
        self._path = path
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Raises DiskFull; other OSErrors of the local disk pass as they are."""
        with naming_full(self._target.parent):
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget what was received."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def publish(self, uri: str, sha256: str) -> None:
        """Let the target appear, replacing what is there.

        Raises:
            ArtifactDamaged: the content is not that of `sha256`; the target stays as it was.
        """
        if self.sha256 != sha256:
            raise ArtifactDamaged(
                f"{uri}: its SHA-256 is {self.sha256} where the database names {sha256}; the file "
                "was damaged or changed in the store: restore it from a backup, or delete it and "
                "train again"
            )
        with naming_full(self._target.parent):
            self._file.close()  # writes out what is buffered
        self._path.replace(self._target)


@contextmanager
def receiving(target: Path) -> Iterator[Incoming]:
    """An empty file beside `target`; it is gone at the end unless it was published."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = Path(unfinished(str(target)))
    file = path.open("xb")
    try:
        yield Incoming(file, path, target)
    finally:
        try:
            file.close()
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def naming_full(folder: Path) -> Iterator[None]:
    """Raises DiskFull where the disk of this folder is; other OSErrors pass as they are."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            f"{folder}: no space left on this local disk; free some and retry"
        ) from error
