"""What an SFTP server's refusals mean for a file of the store."""

import posixpath
from collections.abc import Iterator
from contextlib import suppress

from paramiko import sftp

from configs.errors import (
    ArtifactMissing,
    BadSetting,
    DeepCreditError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from storage.artifacts.sftp_session import Attributes, SftpSession, Space
from storage.artifacts.sftp_wire import ServerSaid


def refused(said: ServerSaid, where: str) -> DeepCreditError:
    """The meaning of an answer taken by itself."""
    if said.code in (sftp.SFTP_PERMISSION_DENIED, sftp.SFTP_OP_UNSUPPORTED):
        return StoreRefused(f"{where}: {said}; let this user read and write there")
    return StoreUnavailable(f"{where}: {said}; a quota may be used up, or the name be taken")


def unread(said: ServerSaid, session: SftpSession, root: str, where: str) -> DeepCreditError:
    """Why a file could not be read: when all files are missing, its disk may not be mounted."""
    if said.code != sftp.SFTP_NO_SUCH_FILE:
        return refused(said, where)
    try:
        session.look(root)
    except ServerSaid:
        return StoreUnavailable(f"{where}: {root} does not exist there; is its disk mounted?")
    return ArtifactMissing(f"{where}: {said}; restore it from a backup or train again")


def unwritten(
    said: ServerSaid, session: SftpSession, path: str, size: int, where: str
) -> DeepCreditError:
    """Why `size` bytes could not be put: a full disk, and one that nobody may write to, are
    answered as a mere failure, so ask.
    """
    if said.code in (sftp.SFTP_FAILURE, sftp.SFTP_NO_SUCH_FILE):
        space = _space_for(path, session)
        if space and space.read_only:
            return StoreRefused(f"{where}: its disk is mounted there for reading alone")
        if space and (space.bytes <= size or not space.files):
            return StoreFull(
                f"{where}: no space left: {space.bytes / 1e6:.1f} MB free for a file of "
                f"{size / 1e6:.1f} MB; free some, then set the batch to I again"
            )
    if is_folder(path, session):
        return BadSetting(f"{where}: there is a folder of that name")
    if said.code == sftp.SFTP_NO_SUCH_FILE and (above := _nearest(path, session)):
        folder, found = above
        if not found.is_folder:
            return BadSetting(f"{where}: {folder} is there and is no folder; look at store_url")
        if folder != (posixpath.dirname(path) or "."):
            return StoreUnavailable(f"{where}: {said}; no folder can be made in {folder}")
    return refused(said, where)


def is_folder(path: str, session: SftpSession) -> bool:
    try:
        return session.look(path).is_folder
    except ServerSaid:
        return False


def _space_for(path: str, session: SftpSession) -> Space | None:
    """The space of the nearest folder above that exists."""
    for folder in _above(path):
        with suppress(ServerSaid):
            return session.space(folder)
    return None


def _nearest(path: str, session: SftpSession) -> tuple[str, Attributes] | None:
    """What is there of the folders above, the lowest."""
    for folder in _above(path):
        with suppress(ServerSaid):
            return folder, session.look(folder)
    return None


def _above(path: str) -> Iterator[str]:
    """Folders in which a path lies, the nearest first."""
    while (folder := posixpath.dirname(path)) != path:
        yield folder or "."
        path = folder
