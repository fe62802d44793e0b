"""A TCP proxy in front of a server, whose connections a test can cut, refuse, leave in doubt, slow
down or let fall silent.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ANSWER_SECONDS = 10


@dataclass(eq=False)
class _Pair:
    client: socket.socket
    server: socket.socket
    doubtful: bool = False
    answered: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Proxy:
    """Forwards to 127.0.0.1:`target` while it is not `cut`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._cut = False
        self._doubt: bytes | None = None
        self._speaking = threading.Event()
        self._speaking.set()
        self.delay = 0.0
        """Seconds by which each answer of the server is late."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection, and each new one, until `restore`."""
        with self._lock:
            self._cut = True
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.reset()

    def silence(self) -> None:
        """Let nothing pass to clients until `restore`, as a server that hangs."""
        self._speaking.clear()

    def restore(self) -> None:
        self._cut = False
        self._speaking.set()

    def lose_answer_to(self, words: bytes) -> None:
        """The next time a client says `words`, the server hears them but its answer is lost."""
        self._doubt = words

    @property
    def answer_was_lost(self) -> bool:
        return self._doubt is None

    def close(self) -> None:
        self._speaking.set()
        self.cut()
        # Closing alone would not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                pair = _Pair(client, socket.create_connection(("127.0.0.1", self._target)))
                with self._lock:
                    refused = self._cut
                    if not refused:
                        self._pairs.add(pair)
                if refused:
                    pair.reset()
                    continue
                for pump in (self._to_server, self._to_client):
                    threading.Thread(target=pump, args=(pair,), daemon=True).start()

    def _to_server(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.client.recv(65536):
                pair.doubtful = self._doubt is not None and self._doubt in data
                pair.server.sendall(data)
                if pair.doubtful:
                    pair.answered.wait(_ANSWER_SECONDS)
                    self._doubt = None
                    break
        pair.reset()

    def _to_client(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while data := pair.server.recv(65536):
                if pair.doubtful:
                    pair.answered.set()
                    return
                self._speaking.wait()
                time.sleep(self.delay)
                pair.client.sendall(data)
        pair.reset()


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
