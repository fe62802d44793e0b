"""The protocol against a peer that does all it may: answers in any order, and in small pieces."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paramiko import Message, sftp

from storage.artifacts.sftp_session import CHUNK, SftpSession
from storage.artifacts.sftp_wire import ConnectionLost, ServerSaid


class Peer:
    """A channel with a server behind it that holds one file, called `file`."""

    closed = False

    def __init__(self, content: bytes, seed: int, *, fails_at: int | None = None) -> None:
        self.content = bytearray(content)
        self._random = random.Random(seed)
        self._fails_at = fails_at
        self._requests = bytearray()
        self._answers: list[bytes] = []
        self._out = bytearray()

    def sendall(self, data: bytes) -> None:
        self._requests += data
        while len(self._requests) >= 4:
            (length,) = struct.unpack_from(">I", self._requests)
            if len(self._requests) < 4 + length:
                return
            self._handle(self._requests[4], bytes(self._requests[5 : 4 + length]))
            del self._requests[: 4 + length]

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
            self._answers.append(struct.pack(">BI", sftp.CMD_VERSION, 3))
            return
        message = Message(body)
        number = message.get_int()
        name = message.get_string()
        if kind == sftp.CMD_OPEN:
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
        if offset >= len(self.content):
            self._status(number, sftp.SFTP_EOF)
            return
        if self._random.random() < 0.3:
            length = self._random.randint(1, length)
        data = bytes(self.content[offset : offset + length])
        self._answer(sftp.CMD_DATA, number, struct.pack(">I", len(data)) + data)

    def _write(self, number: int, offset: int, data: bytes) -> None:
        if self._fails_at is not None and offset <= self._fails_at < offset + len(data):
            self._status(number, sftp.SFTP_FAILURE)
            return
        if len(self.content) < offset:
            self.content += bytes(offset - len(self.content))
        self.content[offset : offset + len(data)] = data
        self._status(number, sftp.SFTP_OK)

    def _answer(self, kind: int, number: int, body: bytes) -> None:
        self._answers.append(struct.pack(">BI", kind, number) + body)

    def _status(self, number: int, code: int) -> None:
        self._answer(sftp.CMD_STATUS, number, struct.pack(">III", code, 0, 0))


def some_bytes(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(0, 80 * CHUNK), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_what_is_read_is_the_file_from_the_offset_on(size, share, seed):
    content = some_bytes(size, seed)
    offset = int(share * size)
    session = SftpSession(Peer(content, seed))

    assert b"".join(session.read("file", offset)) == content[offset:]
    assert session.reusable


@settings(max_examples=25, deadline=None)
@given(size=st.integers(0, 80 * CHUNK), seed=st.integers(0, 2**32))
def test_what_is_written_arrives(size, seed):
    content = some_bytes(size, seed)
    peer = Peer(b"", seed)
    session = SftpSession(peer)

    session.write("file", (content[at : at + CHUNK] for at in range(0, size, CHUNK)))

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


def test_a_session_whose_reader_left_is_not_used_again():
    session = SftpSession(Peer(bytes(100 * CHUNK), 1))
    reading = session.read("file")

    next(reading)
    reading.close()

    assert not session.reusable


def test_a_peer_that_speaks_something_else_is_not_believed():
    class Shell(Peer):
        def sendall(self, data: bytes) -> None:
            self._out += b"Last login: yesterday\n"

    with pytest.raises(ConnectionLost, match="not SFTP"):
        SftpSession(Shell(b"", 1))
