"""Folders for work in progress, which go with their process, however that ends."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

_MARK = ".held"
_NAMED = re.compile(rf"deepcredit-[0-9a-f]{{32}}\{_MARK}")


@contextmanager
def folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder, gone at the end; if we are killed, the next `clean` removes it. `parent`:
    the system's folder for temporary files unless given.
    """
    path = (parent or Path(tempfile.gettempdir())) / f"deepcredit-{uuid4().hex}"
    mark = mark_of(path)
    with mark.open("x+b") as held:  # to read, too: network file systems ask that for a shared lock
        # `clean` may come before us and remove the mark; then the folder has none.
        fcntl.flock(held, fcntl.LOCK_SH)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            remove(path)
            mark.unlink(missing_ok=True)


def clean(parent: Path | None = None) -> None:
    """Remove what `folder` has made there for processes of this user that are dead by now. What
    cannot be removed now stays: nobody may fail because of what others have left.
    """
    with suppress(OSError):  # there may be no such folder, as where every disk is full
        for mark in (parent or Path(tempfile.gettempdir())).glob(f"*{_MARK}"):
            _clean(mark)


def _clean(mark: Path) -> None:
    with suppress(OSError):
        if not _NAMED.fullmatch(mark.name) or mark.lstat().st_uid != os.getuid():
            return
        with mark.open("r+b") as file:
            if lock(file):
                remove(mark.with_suffix(""))
                mark.unlink()


def mark_of(path: Path) -> Path:
    """The file that a process keeps locked while it uses the folder."""
    return path.with_suffix(_MARK)


def lock(file: IO[bytes]) -> bool:
    """Unless somebody has it. The kernel lets go when we end, however we end."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
