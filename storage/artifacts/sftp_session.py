"""Files of an SFTP server: pipelined reads and writes, each answer looked at."""

import stat
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from paramiko import Channel, Message, sftp

from storage.artifacts.sftp_wire import ConnectionLost, ServerSaid, Wire, string

# 32 KiB is what every server takes; a little less lets a message fit into one packet of SSH.
_CHUNK = 32 * 1024 - 256
# Fewer answers, for a server that takes more: OpenSSH's, from version 8.5 on, names this much.
_LARGE_CHUNK = 255 * 1024
_HEADER = 1024  # room for what a request says besides its data
_IN_FLIGHT = 2 << 20
_MOST_REQUESTS = 64

_LIMITS = "limits@openssh.com"
_POSIX_RENAME = "posix-rename@openssh.com"
_FSYNC = "fsync@openssh.com"
_STATVFS = "statvfs@openssh.com"
_READ_ONLY = 1  # of its flags

_NO_ATTRIBUTES = struct.pack(">I", 0)
_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 1, 2, 4, 8, 1 << 31


def _nobody(_end: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is known of a file; size in bytes."""

    size: int
    mode: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


@dataclass(frozen=True, slots=True)
class Space:
    """What the server's file system has left for us."""

    bytes: int
    files: int
    read_only: bool


class SftpSession:
    """For one thread at a time. Any method may raise ConnectionLost or ServerSaid.

    `chunk` is how many bytes are read or written at once.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._wire = Wire(channel)
        self._open_files = 0
        self.chunk = self._largest_chunk()
        self._ahead = min(_IN_FLIGHT // self.chunk, _MOST_REQUESTS)

    def close(self) -> None:
        """Closes the SSH connection, too, which has no other session."""
        self._channel.get_transport().close()

    @property
    def can_replace(self) -> bool:
        """Whether `rename` is offered; a server that lets us only read does not."""
        return _POSIX_RENAME in self._wire.extensions

    @property
    def reusable(self) -> bool:
        """Whether nothing is under way, so that the next request meets a clean session."""
        return self._wire.quiet and not self._open_files

    def read(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """The content from `offset` on. A reader that stops early makes the session unusable.

        What is not a file is answered as what is not there.
        """
        handle = self._open(path, sftp.SFTP_FLAG_READ)
        found = _attributes(self._wire.ask(sftp.CMD_FSTAT, string(handle)))
        if not found.is_file:
            self._close(handle)
            raise ServerSaid(sftp.SFTP_NO_SUCH_FILE, "not a file")
        pending: deque[tuple[int, int, int]] = deque()
        while offset < found.size or pending:
            while offset < found.size and len(pending) < self._ahead:
                length = min(self.chunk, found.size - offset)
                pending.append((self._ask_for(handle, offset, length), offset, length))
                offset += length
            number, start, length = pending.popleft()
            chunk = self._data(number)
            yield chunk
            if chunk and len(chunk) < length:  # a server may give less than was asked for
                start, length = start + len(chunk), length - len(chunk)
                pending.appendleft((self._ask_for(handle, start, length), start, length))
        self._close(handle)

    def write(
        self,
        path: str,
        chunks: Iterable[bytes],
        offset: int = 0,
        confirm: Callable[[int], None] = _nobody,
    ) -> None:
        """Make or empty the file, write it, and have the server put it on its disk; with `offset`
        go on there in a file that exists. `confirm` is called with how much the server surely has.

        `chunks` are of at most `chunk` bytes and are not touched when the file cannot be opened.
        """
        flags = sftp.SFTP_FLAG_WRITE
        if not offset:
            flags |= sftp.SFTP_FLAG_CREATE | sftp.SFTP_FLAG_TRUNC
        handle = self._open(path, flags)
        pending: deque[tuple[int, int]] = deque()
        try:
            self._send_all(handle, chunks, offset, pending, confirm)
            if _FSYNC in self._wire.extensions:
                self._wire.ask(sftp.CMD_EXTENDED, string(_FSYNC), string(handle))
        except ServerSaid:
            for number, _ in pending:
                with suppress(ServerSaid):
                    self._wire.answer(number)
            with suppress(ServerSaid):
                self._close(handle)
            raise
        self._close(handle)

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces `new`."""
        self._wire.ask(sftp.CMD_EXTENDED, string(_POSIX_RENAME), string(old), string(new))

    def remove(self, path: str) -> None:
        self._wire.ask(sftp.CMD_REMOVE, string(path))

    def make_folder(self, path: str) -> None:
        self._wire.ask(sftp.CMD_MKDIR, string(path), _NO_ATTRIBUTES)

    def look(self, path: str) -> Attributes:
        """Follows links."""
        return _attributes(self._wire.ask(sftp.CMD_STAT, string(path)))

    def list(self, path: str) -> list[tuple[str, Attributes]]:
        """Names in a folder with what they are; links are not followed."""
        handle = self._wire.ask(sftp.CMD_OPENDIR, string(path)).get_string()
        self._open_files += 1
        found: list[tuple[str, Attributes]] = []
        while True:
            try:
                answer = self._wire.ask(sftp.CMD_READDIR, string(handle))
            except ServerSaid as said:
                self._close(handle)
                if said.code != sftp.SFTP_EOF:
                    raise
                return [entry for entry in found if entry[0] not in (".", "..")]
            for _ in range(answer.get_int()):
                name = answer.get_string().decode(errors="surrogateescape")
                answer.get_string()  # a line as of `ls -l`
                found.append((name, _attributes(answer)))

    def space(self, path: str) -> Space | None:
        """None where the server cannot tell."""
        if _STATVFS not in self._wire.extensions:
            return None
        answer = self._wire.ask(sftp.CMD_EXTENDED, string(_STATVFS), string(path))
        numbers = [answer.get_int64() for _ in range(10)]
        _, fragment, _, _, blocks_left, files, _, files_left, _, flags = numbers
        return Space(
            bytes=fragment * blocks_left,
            # Some file systems count no files: 0 of 0 are left there.
            files=files_left if files else 1,
            read_only=bool(flags & _READ_ONLY),
        )

    def _largest_chunk(self) -> int:
        """By what the server names (OpenSSH's PROTOCOL, section 4.8; 0 stands for no limit)."""
        if _LIMITS not in self._wire.extensions:
            return _CHUNK
        try:
            answer = self._wire.ask(sftp.CMD_EXTENDED, string(_LIMITS))
        except ServerSaid:  # it may offer what this user is denied
            return _CHUNK
        packet, read, write = (answer.get_int64() for _ in range(3))
        named = [limit for limit in (packet - _HEADER, read, write) if limit > 0]
        return min([_LARGE_CHUNK, *named])

    def _open(self, path: str, flags: int) -> bytes:
        packed = struct.pack(">I", flags)
        answer = self._wire.ask(sftp.CMD_OPEN, string(path), packed, _NO_ATTRIBUTES)
        self._open_files += 1
        return answer.get_string()

    def _close(self, handle: bytes) -> None:
        self._open_files -= 1
        self._wire.ask(sftp.CMD_CLOSE, string(handle))

    def _ask_for(self, handle: bytes, offset: int, length: int) -> int:
        place = struct.pack(">QI", offset, length)
        return self._wire.send(sftp.CMD_READ, string(handle), place)

    def _data(self, number: int) -> bytes:
        """Empty at the end of the file, which may have come nearer since we looked."""
        try:
            return self._wire.answer(number).get_string()
        except ServerSaid as said:
            if said.code != sftp.SFTP_EOF:
                raise
            return b""

    def _send_all(
        self,
        handle: bytes,
        chunks: Iterable[bytes],
        offset: int,
        pending: deque[tuple[int, int]],
        confirm: Callable[[int], None],
    ) -> None:
        """Write and see every answer, in order; `pending` keeps what is unanswered, and where it
        ends, when one is an error.
        """

        def take() -> None:
            number, end = pending.popleft()
            self._wire.answer(number)
            confirm(end)

        try:
            for chunk in chunks:
                fields = string(handle), struct.pack(">QI", offset, len(chunk)), chunk
                offset += len(chunk)
                pending.append((self._wire.send(sftp.CMD_WRITE, *fields), offset))
                if len(pending) >= self._ahead:
                    take()
            while pending:
                take()
        except ConnectionLost:
            # What was answered before it broke need not be written again.
            with suppress(ConnectionLost, ServerSaid):
                while pending and self._wire.speaks:
                    take()
            raise


def _attributes(message: Message) -> Attributes:
    """Read them where the message stands."""
    flags = message.get_int()
    size = message.get_int64() if flags & _HAS_SIZE else 0
    if flags & _HAS_OWNER:
        message.get_bytes(8)
    mode = message.get_int() if flags & _HAS_MODE else 0
    if flags & _HAS_TIMES:
        message.get_bytes(8)
    if flags & _HAS_MORE:
        for _ in range(message.get_int()):
            message.get_string()
            message.get_string()
    return Attributes(size=size, mode=mode)
