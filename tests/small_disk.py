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
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    ):
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    if not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free > _LARGEST_TO_FILL:
        raise SmallDiskMissing
    with TemporaryDirectory(dir=_SHARED_MEMORY) as name:
        with Path(name, "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(name).free - SIZE)
        inside = Path(name, "inside")
        inside.mkdir()
        yield inside
