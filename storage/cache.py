"""Local files by content: a matrix or model is fetched once a host, whoever asks for it."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

import structlog

from configs.errors import ArtifactDamaged, BadSetting, DiskFull
from configs.settings import Settings
from storage import scratch
from storage.artifacts.incoming import naming_full
from storage.artifacts.port import Store
from storage.durable import flush_to_disk
from storage.eviction import shrink, unused_seconds
from storage.scratch import lock, mark_of, remove

_SCRATCH_SECONDS = 2 * 24 * 3600
_READ_ONLY = 0o400  # and that by us alone: matrices hold what applicants told the bank
_ALONE_SECONDS = 120.0  # what a large file may take; two that fetch it do no harm
_LOCK_PAUSE_SECONDS = 0.05
# What no other try mends: no right, a read-only disk, a file where a folder should be.
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Cache:
    """Read-only files below `root`, named by their SHA-256. Safe for any number of processes.

    Above `limit_bytes` the least recently used files are deleted, but none that was used in the
    last minute and none that is held, so the limit may be exceeded for a while. Processes that
    have a file open or mapped keep it.
    """

    def __init__(self, root: Path, limit_bytes: int | None = None) -> None:
        self._root = root.absolute()
        self.limit_bytes = limit_bytes
        self._added = 0
        self._counted = False
        self._held: list[BinaryIO] = []
        self._sound: dict[str, int] = {}  # inodes of files that were compared with their names

    def check(self) -> None:
        """Raises BadSetting: this user cannot work in it. A disk that is full now says nothing."""
        with suppress(OSError), self._ours():
            probe = self.scratch() / uuid4().hex
            probe.touch()
            probe.unlink()

    def path(self, sha256: str) -> Path | None:
        """The file of this content, if it is here and sound; to ask counts as use. A damaged one
        stays until whoever fetches or makes the content replaces it.
        """
        path = self._place(sha256)
        try:
            with self._ours():
                os.utime(path)
            return path if self._is_sound(path, sha256) else None
        except FileNotFoundError:
            return None

    def adopt(self, source: Path) -> tuple[str, Path]:
        """Move a finished file in, under its hash. From `scratch()` it is not copied."""
        sha256 = sha256_of(source)
        path = self.path(sha256)
        if path is None:
            path = self._place(sha256)
            if source.stat().st_dev != self._made(path.parent).stat().st_dev:
                source = Path(shutil.move(source, self.scratch() / uuid4().hex))
            self._publish(source, path)
        else:
            source.unlink()
        return sha256, path

    def make(self, write: Callable[[Path], object]) -> tuple[str, Path]:
        """Move in the file that `write` makes at the path it is given, as `adopt` does. It may be
        asked twice: a full disk is made free as for `fetch`.

        Raises DiskFull.
        """

        def made() -> tuple[str, Path]:
            with self.folder() as folder:
                file = folder / "file"
                write(file)
                return self.adopt(file)

        return self._making_room(made)

    def fetch(self, store: Store, uri: str, sha256: str) -> Path:
        """The file of this content, got from the store if it is not here.

        Of several processes that ask at once, one gets it and the others wait, for two minutes.

        Raises what `Store.get` raises.
        """
        path = self.path(sha256)
        if path is not None:
            return path
        with self._alone(sha256):
            path = self.path(sha256)
            if path is None:
                path = self._place(sha256)
                received = self.scratch() / uuid4().hex
                try:
                    self._making_room(partial(store.get, uri, sha256, received))
                    self._publish(received, path)
                finally:
                    received.unlink(missing_ok=True)
        return path

    def hold(self, path: Path) -> None:
        """Keep a file of the cache until `close`, also if nobody asks for it: there is no other."""
        file = path.open("rb")
        self._held.append(file)
        fcntl.flock(file, fcntl.LOCK_SH)  # the kernel lets go when we end, however we end

    def close(self) -> None:
        """Let go of what was held."""
        while self._held:
            self._held.pop().close()

    def scratch(self) -> Path:
        """A folder for work in progress, on the file system of the cache."""
        return self._made(self._root / "scratch")

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder there, for as long as it is used. Raises DiskFull, also for what is
        written into it.
        """
        with naming_full(self._root), scratch.folder(self.scratch()) as folder:
            yield folder

    def clean(self) -> None:
        """Remove folders of processes that are dead, and scratch that nobody finished for days, as
        far as that can be done now.
        """
        with suppress(OSError):  # a full disk has no room even for the folder
            scratch.clean(self.scratch())
            for left in self.scratch().iterdir():
                # What is held may be older: a fit may take days.
                if not mark_of(left).exists() and unused_seconds(left) > _SCRATCH_SECONDS:
                    remove(left)

    def evict(self) -> None:
        """Bring the cache below its limit, and clean up."""
        self._added, self._counted = 0, True
        self.clean()
        if (limit := self.limit_bytes) is not None:
            self._shrink(lambda _: limit)

    def _making_room(self, work: Callable[[], T]) -> T:
        """A disk may be smaller than our limit: if it is full, half of what we have makes room."""
        try:
            return work()
        except DiskFull:
            if not self._shrink(lambda total: total // 2):
                raise
            return work()

    def _shrink(self, limit_of: Callable[[int], int]) -> bool:
        return shrink(self._root / "files", limit_of, aside=self.scratch())

    def _is_sound(self, path: Path, sha256: str) -> bool:
        """Looked at once a process: many tasks ask for one matrix."""
        inode = path.stat().st_ino
        if self._sound.get(sha256) != inode:
            if sha256_of(path) != sha256:
                # Not removed: meanwhile a sound one may have taken its name, which others use.
                log.warning("a damaged file of the cache is replaced", file=str(path))
                return False
            self._sound[sha256] = inode
        return True

    def _place(self, sha256: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ArtifactDamaged(f"{sha256!r} is not the SHA-256 of a file; mend the row it is in")
        return self._root / "files" / sha256[:2] / sha256

    def _publish(self, source: Path, path: Path) -> None:
        """Content first, name second: also after a power cut a name stands for its content."""
        found = source.stat()
        source.chmod(_READ_ONLY)
        flush_to_disk(source)
        os.utime(source)
        source.replace(self._made(path.parent) / path.name)
        self._sound[path.name] = found.st_ino  # who asks us to keep a file has just hashed it
        self._added += found.st_size
        # Counting the files takes time, so it is done at first and after each twentieth added.
        if not self._counted or (
            self.limit_bytes is not None and self._added > self.limit_bytes / 20
        ):
            self.evict()

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        """One process or thread of this host at a time; but one that has waited too long, for one
        that is frozen, goes on beside it. Files of locks are kept, so they must be few.
        """
        file = self._made(self._root / "locks") / sha256[:3]
        deadline = time.monotonic() + _ALONE_SECONDS
        with self._ours():
            held = file.open("ab")
        with held:
            while not lock(held) and time.monotonic() < deadline:
                time.sleep(_LOCK_PAUSE_SECONDS)
            yield

    def _made(self, folder: Path) -> Path:
        with self._ours():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            raise BadSetting(
                f"cache_dir: this user may not work in {self._root} ({error}); name a folder of "
                "its own: DEEPCREDIT_CACHE_DIR, for a host of a cluster in its env_file"
            ) from error


def open_cache(settings: Settings) -> Cache:
    return Cache(settings.cache_dir, settings.cache_limit_mb * 1_000_000 or None)


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
