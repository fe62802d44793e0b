"""The model store on an SFTP server."""

import logging
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from paramiko import sftp

from configs.errors import DeepCreditError, StoreRefused
from storage.artifacts.incoming import Incoming, receiving
from storage.artifacts.outgoing import Outgoing
from storage.artifacts.patience import persist
from storage.artifacts.port import Stored
from storage.artifacts.probe import probe
from storage.artifacts.sftp_answers import is_folder, refused, unread, unwritten
from storage.artifacts.sftp_connect import Login, connect
from storage.artifacts.sftp_pool import Pool
from storage.artifacts.sftp_session import Attributes, SftpSession
from storage.artifacts.sftp_wire import ServerSaid
from storage.artifacts.uris import OF_THE_DISK, check_new, check_uri, unfinished


class SftpStore:
    """Files below `root`, a path on the server; made by the first put.

    A lost connection is replaced and the operation done again, for up to `patience` seconds
    without progress. Every operation but delete may be repeated: put and get go on where they
    broke, and a put ends in the same rename.
    """

    def __init__(
        self, login: Login, root: str, *, connections: int = 4, patience: float = 180
    ) -> None:
        self._login = login
        self._root = root
        self._patience = patience
        self._pool = Pool(lambda: connect(login), connections)
        # It logs each broken connection with a traceback; ours is a line that says what is done.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def __str__(self) -> str:
        return f"sftp://{self._login}{'' if self._root.startswith('/') else '/~/'}{self._root}"

    def put(self, uri: str, source: Path) -> Stored:
        path = self._path(check_new(uri))
        outgoing = Outgoing(source)
        begun: list[str] = []

        def upload() -> None:
            with self._pool.session() as session:
                if not session.can_replace:
                    raise StoreRefused(
                        f"{self._where(uri)}: the server does not offer posix-rename@openssh.com: "
                        "this user may only read, or it is not OpenSSH's"
                    )
                try:
                    if not (outgoing.confirmed and _reaches(session, begun[-1], outgoing)):
                        # Under a new name: a server that was frozen may yet do what it was asked
                        # on the connection that was given up, and empty the file of that name.
                        outgoing.confirmed = 0
                        begun.append(unfinished(path))
                    _upload(session, outgoing, begun[-1])
                    session.rename(begun[-1], path)
                except ServerSaid as said:
                    size = source.stat().st_size
                    raise unwritten(said, session, path, size, self._where(uri)) from said

        try:
            persist(
                upload,
                self._where(uri),
                seconds=self._patience,
                progress=lambda: outgoing.confirmed,
            )
        except BaseException:
            self._forget(begun)
            raise
        self._forget(begun[:-1])
        return Stored(uri=uri, sha256=outgoing.sha256, bytes=outgoing.size)

    def get(self, uri: str, sha256: str, target: Path) -> None:
        check_uri(uri)
        with receiving(target) as incoming:
            in_one_piece = self._receive(uri, incoming)
            if not in_one_piece and incoming.sha256 != sha256:
                # The file may have been replaced between two parts.
                incoming.restart()
                self._receive(uri, incoming)
            incoming.publish(uri, sha256)

    def delete(self, uri: str) -> None:
        path = self._path(check_uri(uri))

        def remove() -> None:
            with self._pool.session() as session:
                try:
                    session.remove(path)
                except ServerSaid as said:
                    if said.code != sftp.SFTP_NO_SUCH_FILE:
                        raise refused(said, self._where(uri)) from said

        persist(remove, self._where(uri), seconds=0)

    def walk(self, prefix: str = "") -> Iterator[str]:
        return (uri for uri, _ in self.sizes(prefix))

    def sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        folders = [check_uri(prefix) if prefix else ""]
        while folders:
            folder = folders.pop()
            for name, attributes in self._list(folder):
                uri = f"{folder}/{name}" if folder else name
                if attributes.is_folder and name != OF_THE_DISK:
                    folders.append(uri)
                elif attributes.is_file:
                    yield uri, attributes.size

    def check(self) -> str:
        with self._pool.session():
            pass  # what keeps us out shows here at once: nothing is tried again
        probe(self)
        space = None
        with self._pool.session() as session, suppress(ServerSaid):
            space = session.space(self._root)
        free = f", {space.bytes / 1e9:.1f} GB free" if space else ""
        return f"{self}, host key known{free}"

    def close(self) -> None:
        self._pool.close()

    def _path(self, uri: str) -> str:
        return posixpath.join(self._root, uri)

    def _where(self, uri: str) -> str:
        return f"{self}: {uri or '.'}"

    def _receive(self, uri: str, incoming: Incoming) -> bool:
        """Whether it came in one piece, that is from one opening of the file."""
        begun_at: list[int] = []

        def download() -> None:
            with self._pool.session() as session:
                begun_at.append(incoming.size)
                try:
                    for chunk in session.read(self._path(uri), incoming.size):
                        incoming.write(chunk)
                except ServerSaid as said:
                    raise unread(said, session, self._root, self._where(uri)) from said

        persist(
            download,
            self._where(uri),
            seconds=self._patience,
            progress=lambda: incoming.size,
        )
        return not any(begun_at)

    def _list(self, folder: str) -> list[tuple[str, Attributes]]:
        def entries() -> list[tuple[str, Attributes]]:
            with self._pool.session() as session:
                try:
                    return session.list(self._path(folder))
                except ServerSaid as said:
                    # One that was missing may be there by now.
                    missing = said.code == sftp.SFTP_NO_SUCH_FILE
                    if not missing and is_folder(self._path(folder), session):
                        raise refused(said, self._where(folder)) from said
                    return []

        return persist(entries, self._where(folder), seconds=self._patience)

    def _forget(self, unfinished: Sequence[str]) -> None:
        """Remove what a put has left, if that is possible at the first attempt."""
        if not unfinished:
            return
        with suppress(DeepCreditError), self._pool.session() as session:
            for path in unfinished:
                with suppress(ServerSaid):
                    session.remove(path)


def _upload(session: SftpSession, outgoing: Outgoing, path: str) -> None:
    try:
        _write(session, outgoing, path)
    except ServerSaid as said:
        if said.code != sftp.SFTP_NO_SUCH_FILE:
            raise
        outgoing.confirmed = 0
        _make_folder(session, posixpath.dirname(path))
        _write(session, outgoing, path)


def _write(session: SftpSession, outgoing: Outgoing, path: str) -> None:
    def confirm(end: int) -> None:
        outgoing.confirmed = end

    session.write(path, outgoing.chunks(session.chunk), outgoing.confirmed, confirm)


def _reaches(session: SftpSession, path: str, outgoing: Outgoing) -> bool:
    """Whether it goes on there. Else it was lost, or the rename was done and its answer lost."""
    try:
        return session.look(path).size >= outgoing.confirmed
    except ServerSaid:
        return False


def _make_folder(session: SftpSession, path: str) -> None:
    """As mkdir -p; that a folder could not be made shows when something is put into it."""
    missing = [path]
    while not _made(session, missing[-1]):
        parent = posixpath.dirname(missing[-1])
        if parent in ("", missing[-1]):
            break
        missing.append(parent)
    for folder in reversed(missing[:-1]):
        _made(session, folder)


def _made(session: SftpSession, folder: str) -> bool:
    """Not where what it would stand in is missing. A mere failure means that it is there."""
    try:
        session.make_folder(folder)
    except ServerSaid as said:
        if said.code == sftp.SFTP_NO_SUCH_FILE:
            return False
        if said.code != sftp.SFTP_FAILURE:
            raise
    return True
