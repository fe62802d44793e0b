"""Requests and answers of SFTP, version 3 (draft-ietf-secsh-filexfer-02), over an SSH channel.

Written out because paramiko's own client never looks at the answers to pipelined writes, so that
a full disk goes unnoticed, and needs a thread for each pipelined read.
"""

import struct
from itertools import count

from paramiko import Channel, Message, SSHException, sftp

from configs.errors import StoreUnavailable

_LARGEST_MESSAGE = 1 << 20
_RECEIVE = 1 << 20
_PACKET = 1 << 15


class ConnectionLost(StoreUnavailable):
    """The connection to the SFTP server broke or fell silent."""


class ServerSaid(Exception):
    """The server answered a request with an error; `code` is one of sftp.SFTP_..."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text or 'no reason given'} (status {code})")
        self.code = code


class Wire:
    """For one thread at a time. Requests may be sent ahead; answers are taken by number."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = count(1)
        self._received = bytearray()
        self._waiting: set[int] = set()
        self._answers: dict[int, tuple[int, bytes]] = {}
        self.extensions = self._greet()

    @property
    def quiet(self) -> bool:
        """Whether the channel is open and every answer was taken."""
        return not (self._channel.closed or self._waiting)

    @property
    def speaks(self) -> bool:
        """Whether part of an answer is here already."""
        return bool(self._received) or self._channel.recv_ready()

    def ask(self, kind: int, *fields: bytes) -> Message:
        """Send a request and wait for its answer."""
        return self.answer(self.send(kind, *fields))

    def send(self, kind: int, *fields: bytes) -> int:
        """Send a request without waiting; returns its number."""
        number = next(self._numbers) & 0xFFFFFFFF
        self._waiting.add(number)
        self._transmit(struct.pack(">BI", kind, number), *fields)
        return number

    def answer(self, number: int) -> Message:
        """Wait for the answer to a request; it stands behind kind and number.

        Raises:
            ServerSaid: it is an error.
            ConnectionLost: there will be none.
        """
        while number not in self._answers:
            kind, body = self._packet()
            (answered,) = struct.unpack_from(">I", body)
            if answered not in self._waiting:
                raise ConnectionLost("the server answered what was not asked")
            self._answers[answered] = kind, body
        kind, body = self._answers.pop(number)
        self._waiting.discard(number)
        answer = Message(body)
        answer.get_int()
        if kind == sftp.CMD_STATUS:
            code = answer.get_int()
            if code != sftp.SFTP_OK:
                raise ServerSaid(code, answer.get_string().decode(errors="replace"))
        return answer

    def _greet(self) -> frozenset[str]:
        self._transmit(struct.pack(">BI", sftp.CMD_INIT, 3))
        kind, body = self._packet()
        answer = Message(body)
        if kind != sftp.CMD_VERSION or answer.get_int() != 3:
            raise ConnectionLost("the server does not speak version 3 of SFTP")
        names = []
        while answer.get_remainder():
            names.append(answer.get_string().decode(errors="replace"))
            answer.get_string()  # the extension's own version
        return frozenset(names)

    def _transmit(self, *fields: bytes) -> None:
        message = b"".join((struct.pack(">I", sum(map(len, fields))), *fields))
        sent = 0
        try:
            # Not by paramiko's sendall, which copies all that is left after each packet.
            while sent < len(message):
                part = self._channel.send(message[sent : sent + _PACKET])
                if not part:
                    raise ConnectionLost("the connection was closed while sending")
                sent += part
        except (OSError, EOFError, SSHException) as error:
            raise ConnectionLost(f"the connection broke while sending: {_reason(error)}") from error

    def _packet(self) -> tuple[int, bytes]:
        (length,) = struct.unpack(">I", self._take(4))
        if not 5 <= length <= _LARGEST_MESSAGE:
            raise ConnectionLost("the server sent what is not SFTP")
        packet = self._take(length)
        return packet[0], packet[1:]

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                more = self._channel.recv(_RECEIVE)
            except (OSError, EOFError, SSHException) as error:
                raise ConnectionLost(f"no answer: {_reason(error)}") from error
            if not more:
                raise ConnectionLost("the server closed the connection")
            self._received += more
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


def string(value: str | bytes) -> bytes:
    """A field of a request: length and content."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def _reason(error: Exception) -> str:
    return str(error) or ("it fell silent" if isinstance(error, TimeoutError) else "closed")
