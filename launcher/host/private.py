"""Files that nobody else may read."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


def everybody_may_use(path: Path) -> bool:
    """Whether any account of this host may read or write it. Raises OSError."""
    return bool(path.stat().st_mode & stat.S_IRWXO)


def private_folder() -> Path:
    """A folder for temporary files into which no other account can put anything. Where somebody
    else has been there before us, under the name that we would give it, it is a new one.
    """
    path = Path(tempfile.gettempdir()) / f"deepcredit-{os.getuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        path.chmod(0o700)  # Dask makes it again for all to read where somebody cleans up
        return path
    return Path(tempfile.mkdtemp(prefix=f"{path.name}-"))


def write_private(path: Path, text: str) -> None:
    with private_file(path) as file:
        file.write(text)


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """Written whole or not at all, in UTF-8, and for nobody else to read."""
    # Private from the first moment; a name of its own, for others may write the same file now.
    made, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".tmp", dir=path.parent)
    new = Path(name)
    try:
        with open(made, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - it is open
            yield file
            file.flush()
            os.fsync(file.fileno())  # or after a power cut the name may stand for nothing
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
