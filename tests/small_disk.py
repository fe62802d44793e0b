"""A file system with no room to speak of, to see what happens when a disk is full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SIZE = 1 << 20

_SHARED_MEMORY = Path("/dev/shm")
_LARGEST_TO_FILL = 256 << 20


class SmallDiskMissing(Exception):
    """No tmpfs may be mounted here, and /dev/shm is too large to be filled for a test."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A folder with room for about `SIZE` bytes: a tmpfs, or a /dev/shm filled up to there.

    Raises:
        SmallDiskMissing: neither can be had.
    """
    folder.mkdir()
    options = f"size={SIZE},uid={os.getuid()},gid={os.getgid()},mode=700"
    if _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        try:
            yield folder
        finally:
            assert _as_root("umount", "--lazy", str(folder))
        return
    if not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free > _LARGEST_TO_FILL:
        raise SmallDiskMissing
    with TemporaryDirectory(dir=_SHARED_MEMORY) as name:
        with Path(name, "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(name).free - SIZE)
        inside = Path(name, "inside")
        inside.mkdir()
        yield inside


def for_reading_alone(disk: Path) -> bool:
    """Let nobody write there any more; whether that could be done, as with a tmpfs."""
    return _as_root("mount", "-o", "remount,ro", str(disk))


def _as_root(*command: str) -> bool:
    """Whether it could be done, by us or by a sudo that asks for no password."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not shutil.which("sudo"):
        return False
    return subprocess.run([*sudo, *command], capture_output=True, check=False).returncode == 0
