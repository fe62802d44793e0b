"""The model store as a folder: local, or a network file system that all hosts mount."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from configs.errors import (
    ArtifactMissing,
    BadSetting,
    DeepCreditError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from storage.artifacts.incoming import receiving
from storage.artifacts.port import Stored
from storage.artifacts.probe import probe
from storage.artifacts.uris import OF_THE_DISK, check_new, check_uri, unfinished
from storage.durable import flush_to_disk

_CHUNK = 1 << 20
# EFBIG: the file system, or the process's limit, takes no file of this size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR)


class FolderStore:
    """Files below `root`. The first put makes that folder, readable by nobody else; a folder that a
    person has made keeps its rights. Keeps no file open.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()

    def __str__(self) -> str:
        return f"folder {self._root}"

    def put(self, uri: str, source: Path) -> Stored:
        target = self._root / check_new(uri)
        temporary = Path(unfinished(str(target)))
        with source.open("rb") as stream, self._named(uri):
            self._make_folder(target.parent)
            try:
                stored = _copy(stream, temporary, uri)
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            flush_to_disk(target.parent)
        return stored

    def get(self, uri: str, sha256: str, target: Path) -> None:
        source = self._root / check_uri(uri)
        with receiving(target) as incoming:
            for chunk in self._chunks(source, uri):
                incoming.write(chunk)
            incoming.publish(uri, sha256)

    def delete(self, uri: str) -> None:
        with self._named(uri):
            (self._root / check_uri(uri)).unlink(missing_ok=True)

    def walk(self, prefix: str = "") -> Iterator[str]:
        return (uri for uri, _ in self.sizes(prefix))

    def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        top = self._root / check_uri(prefix) if prefix else self._root
        with self._named(prefix or "."):
            # os.walk passes over what it cannot read unless told otherwise; a missing top is empty.
            if top.is_dir():
                for folder, folders, files in os.walk(top, onerror=_raise):
                    folders[:] = (name for name in folders if name != OF_THE_DISK)
                    for name in files:
                        file = Path(folder) / name
                        with suppress(FileNotFoundError):  # it may go while we walk
                            yield file.relative_to(self._root).as_posix(), file.lstat().st_size

    def check(self) -> str:
        probe(self)
        return f"{self}, {shutil.disk_usage(self._root).free / 1e9:.1f} GB free"

    def close(self) -> None:
        return

    def _make_folder(self, folder: Path) -> None:
        """As mkdir -p, each new folder on the disk before anything is put into it."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700 if each == self._root else 0o777, exist_ok=True)
            flush_to_disk(each.parent)

    def _chunks(self, source: Path, uri: str) -> Iterator[bytes]:
        with self._named(uri, missing=ArtifactMissing), open(source, "rb", opener=_file) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    @contextmanager
    def _named(self, uri: str, missing: type[DeepCreditError] = StoreUnavailable) -> Iterator[None]:
        """Give errors of the operating system their names in configs.errors."""
        try:
            yield
        except OSError as error:
            raise self._error(error, uri, missing) from error

    def _error(self, error: OSError, uri: str, missing: type[DeepCreditError]) -> DeepCreditError:
        where = f"{self}: {uri}: {error.strerror or error}"
        if error.errno in _FULL:
            return StoreFull(f"{where}; free some space, then set the batch to I again")
        if error.errno in _REFUSED:
            return StoreRefused(f"{where}; let this user read and write there")
        if error.errno in _NO_FILE and missing is ArtifactMissing:
            if not self._root.exists():
                return StoreUnavailable(f"{self}: there is no such folder; is it mounted?")
            return ArtifactMissing(f"{where}; restore it from a backup or train again")
        if error.errno in (errno.EISDIR, errno.ENOTDIR):
            return BadSetting(f"{where}; a folder has that name, or a file that of its folder")
        return missing(where)


def _file(path: str, flags: int) -> int:
    """A pipe would be waited for, and a device may never end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "not a file")


def _copy(stream: BinaryIO, target: Path, uri: str) -> Stored:
    digest = hashlib.sha256()
    size = 0
    with target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
            size += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    return Stored(uri=uri, sha256=digest.hexdigest(), bytes=size)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder may go while we walk
        raise error
