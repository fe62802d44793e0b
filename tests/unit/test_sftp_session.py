"""The protocol against a peer that does all it may: answers in any order, and in small pieces."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko import Message, sftp

from storage.artifacts.sftp_session import SftpSession
from storage.artifacts.sftp_wire import ConnectionLost, ServerSaid

SMALL, LARGE = 32_512, 261_120


class Peer:
    """A channel with a server behind it that holds one file, called `file`.

    `limits` are bytes of a packet, a read and a write; more is not taken.
    """

    closed = False

    def __init__(
        self,
        content: bytes,
        seed: int,
        *,
        fails_at: int | None = None,
        limits: tuple[int, int, int] | None = None,
    ) -> None:
        self.content = bytearray(content)
        self._limits = limits
        self._random = random.Random(seed)
        self._fails_at = fails_at
        self._requests = bytearray()
        self._answers: list[bytes] = []
        self._out = bytearray()

    def send(self, data: bytes) -> int:
        taken = self._random.randint(1, len(data))
        self._requests += data[:taken]
        while len(self._requests) >= 4:
            (length,) = struct.unpack_from(">I", self._requests)
            if len(self._requests) < 4 + length:
                break
            if self._limits and self._limits[0]:
                assert length <= self._limits[0]
            self._handle(self._requests[4], bytes(self._requests[5 : 4 + length]))
            del self._requests[: 4 + length]
        return taken

    def recv(self, size: int) -> bytes:
        if not self._out:
            self._random.shuffle(self._answers)
            for answer in self._answers:
                self._out += struct.pack(">I", len(answer)) + answer
            self._answers.clear()
        piece = self._random.randint(1, min(size, 50_000))
        data = bytes(self._out[:piece])
        del self._out[:piece]
        return data

    def recv_ready(self) -> bool:
        return bool(self._out or self._answers)

    def _handle(self, kind: int, body: bytes) -> None:
        if kind == sftp.CMD_INIT:
            names = (b"limits@openssh.com", b"1") if self._limits else ()
            offered = b"".join(struct.pack(">I", len(name)) + name for name in names)
            self._answers.append(struct.pack(">BI", sftp.CMD_VERSION, 3) + offered)
            return
        message = Message(body)
        number = message.get_int()
        name = message.get_string()
        if kind == sftp.CMD_EXTENDED:
            assert name == b"limits@openssh.com"
            self._answer(sftp.CMD_EXTENDED_REPLY, number, struct.pack(">4Q", *self._limits, 0))
        elif kind == sftp.CMD_OPEN:
            assert name == b"file"
            self._answer(sftp.CMD_HANDLE, number, struct.pack(">I", 1) + b"h")
        elif kind == sftp.CMD_FSTAT:
            self._answer(
                sftp.CMD_ATTRS, number, struct.pack(">IQI", 5, len(self.content), 0o100644)
            )
        elif kind == sftp.CMD_READ:
            self._read(number, message.get_int64(), message.get_int())
        elif kind == sftp.CMD_WRITE:
            self._write(number, message.get_int64(), message.get_string())
        else:
            assert kind == sftp.CMD_CLOSE
            self._status(number, sftp.SFTP_OK)

    def _read(self, number: int, offset: int, length: int) -> None:
        assert length <= self._most(1)
        if offset >= len(self.content):
            self._status(number, sftp.SFTP_EOF)
            return
        if self._random.random() < 0.3:
            length = self._random.randint(1, length)
        data = bytes(self.content[offset : offset + length])
        self._answer(sftp.CMD_DATA, number, struct.pack(">I", len(data)) + data)

    def _write(self, number: int, offset: int, data: bytes) -> None:
        assert len(data) <= self._most(2)
        if self._fails_at is not None and offset <= self._fails_at < offset + len(data):
            self._status(number, sftp.SFTP_FAILURE)
            return
        if len(self.content) < offset:
            self.content += bytes(offset - len(self.content))
        self.content[offset : offset + len(data)] = data
        self._status(number, sftp.SFTP_OK)

    def _most(self, limit: int) -> int:
        return (self._limits[limit] or 2**64) if self._limits else SMALL

    def _answer(self, kind: int, number: int, body: bytes) -> None:
        self._answers.append(struct.pack(">BI", kind, number) + body)

    def _status(self, number: int, code: int) -> None:
        self._answer(sftp.CMD_STATUS, number, struct.pack(">III", code, 0, 0))


LIMITS = st.none() | st.tuples(
    st.just(0) | st.integers(3000, 2**20), *2 * [st.just(0) | st.integers(1000, 2**20)]
)


def some_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(0, 80 * SMALL),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
    limits=LIMITS,
)
def test_what_is_read_is_the_file_from_the_offset_on(size, share, seed, limits):
    content = some_bytes(size, seed)
    offset = int(share * size)
    session = SftpSession(Peer(content, seed, limits=limits))

    assert b"".join(session.read("file", offset)) == content[offset:]
    assert session.reusable


@settings(max_examples=25, deadline=None)
@given(size=st.integers(0, 80 * SMALL), seed=st.integers(0, 2**32), limits=LIMITS)
def test_what_is_written_arrives(size, seed, limits):
    content = some_bytes(size, seed)
    peer = Peer(b"", seed, limits=limits)
    session = SftpSession(peer)
    step = session.chunk

    session.write("file", (content[at : at + step] for at in range(0, size, step)))

    assert peer.content == content
    assert session.reusable


@settings(max_examples=25, deadline=None)
@given(chunks=st.integers(1, 150), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_one_write_that_fails_among_many_is_noticed_wherever_it_is(chunks, share, seed):
    place = int(share * (chunks * 1000 - 1))
    session = SftpSession(Peer(b"", seed, fails_at=place))

    with pytest.raises(ServerSaid):
        session.write("file", (bytes(1000) for _ in range(chunks)))

    assert session.reusable


@pytest.mark.parametrize(
    ("limits", "chunk"),
    [
        (None, SMALL),
        ((2**18, 2**18 - 2**10, 2**18 - 2**10), LARGE),  # OpenSSH's
        ((0, 0, 0), LARGE),
        ((2**30, 2**30, 2**30), LARGE),
        ((0, 50_000, 0), 50_000),
        ((0, 0, 40_000), 40_000),
        ((34_000, 0, 0), 34_000 - 1024),
    ],
)
def test_as_much_is_moved_at_once_as_the_server_says_it_takes(limits, chunk):
    assert SftpSession(Peer(b"", 1, limits=limits)).chunk == chunk


def test_a_server_that_denies_what_it_offers_gets_what_every_server_takes():
    class Denies(Peer):
        def _handle(self, kind: int, body: bytes) -> None:
            if kind == sftp.CMD_EXTENDED:
                self._status(Message(body).get_int(), sftp.SFTP_PERMISSION_DENIED)
            else:
                super()._handle(kind, body)

    session = SftpSession(Denies(b"", 1, limits=(0, 0, 0)))

    assert session.chunk == SMALL
    assert session.reusable


def test_a_session_whose_reader_left_is_not_used_again():
    session = SftpSession(Peer(bytes(100 * SMALL), 1))
    reading = session.read("file")

    next(reading)
    reading.close()

    assert not session.reusable


def test_a_peer_that_speaks_something_else_is_not_believed():
    class Shell(Peer):
        def send(self, data: bytes) -> int:
            self._out += b"Last login: yesterday\n"
            return len(data)

    with pytest.raises(ConnectionLost, match="not SFTP"):
        SftpSession(Shell(b"", 1))


def test_a_channel_that_takes_no_more_is_lost():
    class Closing(Peer):
        def send(self, data: bytes) -> int:
            return super().send(data) if len(data) < 1000 else 0

    session = SftpSession(Closing(b"", 1))

    with pytest.raises(ConnectionLost, match="closed while sending"):
        session.write("file", [bytes(1000)])
