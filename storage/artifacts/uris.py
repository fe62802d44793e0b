"""Names of files in the store: relative, the same on every adapter, and never leading out of it."""

import re
import unicodedata
from uuid import uuid4

from configs.errors import BadSetting

UNFINISHED = ".tmp"
"""Suffix of a file whose upload has not ended, or never will."""

OF_THE_DISK = "lost+found"
"""A folder in which the file system keeps what it has salvaged: only root may look into it."""

_LONGEST_NAME = 200  # bytes; file systems allow 255, and an unfinished file's name is longer


def check_uri(uri: str) -> str:
    """Return `uri` if it names a place inside the store: models/T12/3/1.f2.ubj

    Raises:
        BadSetting: it is absolute, leads out, or holds what a file system may not take.
    """
    problem = _problem(uri)
    if problem:
        raise BadSetting(
            f"uri {uri!r} {problem}; allowed are relative paths such as models/T12/3/1.f2.ubj"
        )
    return uri


def check_new(uri: str) -> str:
    """As `check_uri`, for a file about to be put: it must not look like an unfinished one."""
    if uri.endswith(UNFINISHED):
        raise BadSetting(f"uri {uri!r} ends in {UNFINISHED}, which marks unfinished uploads")
    return check_uri(uri)


def unfinished(path: str) -> str:
    """A name of its own in the same folder, so that renaming it to `path` is atomic."""
    return f"{path}.{uuid4().hex}{UNFINISHED}"


def _problem(uri: str) -> str | None:
    names = uri.split("/")
    if uri.startswith("/"):
        return "is absolute"
    if any(name in ("", ".", "..") for name in names):
        return "has an empty name, '.' or '..' in it"
    if "\\" in uri:
        return "has a backslash in it"
    # Control characters, lone surrogates, line and paragraph separators.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in uri):
        return "has a control character in it"
    if any(len(name.encode()) > _LONGEST_NAME for name in names):
        return f"has a name of more than {_LONGEST_NAME} bytes in it"
    return None


def is_id(name: str) -> bool:
    """Whether it is the id of a database, which names that database's mark in the store."""
    return re.fullmatch("[0-9a-f]{32}", name) is not None
