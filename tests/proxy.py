"""A TCP proxy in front of a server, whose connections a test can cut, refuse, leave in doubt, slow
down or let fall silent: all of them now, or each after so many bytes.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import make_url

from configs.settings import Settings

_ANSWER_SECONDS = 10


def _nothing() -> None:
    return


@dataclass(eq=False)
class _Pair:
    client: socket.socket
    server: socket.socket
    budget: int | None
    doubtful: bool = False
    answered: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        _shut(self.client)
        _shut(self.server)


class Proxy:
    """Forwards to 127.0.0.1:`target` while it is not `cut`.

    Connection n may pass `budgets[n]` bytes, both ways together; None and later ones any number.
    When a budget is used up `on_cut` is called, and the connection closed or, if `silent`, kept
    open without another byte.
    """

    def __init__(
        self,
        target: int,
        budgets: Sequence[int | None] = (),
        *,
        silent: bool = False,
        on_cut: Callable[[], None] = _nothing,
    ) -> None:
        self._target = target
        self._budgets = iter(budgets)
        self._silent = silent
        self._on_cut = on_cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        if silent:  # who sends to it must meet an end of what buffers take
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """That were made so far."""
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._cut = False
        self._doubt: bytes | None = None
        self._speaking = threading.Event()
        self._speaking.set()
        self.delay = 0.0
        """Seconds by which each answer of the server is late."""
        threading.Thread(target=self._accept, daemon=True).start()

    def before(self, settings: Settings) -> Settings:
        """These settings, with the way to their database through here."""
        url = make_url(settings.database_url).set(port=self.port)
        there = {"database_url": url.render_as_string(hide_password=False)}
        return settings.model_copy(update=there)

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
        _shut(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                pair = _Pair(client, server, next(self._budgets, None))
                self.connections += 1
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
        with suppress(OSError):
            while data := pair.client.recv(65536):
                if not self._may_pass(pair, data):
                    return
                pair.doubtful = self._doubt is not None and self._doubt in data
                pair.server.sendall(data)
                if pair.doubtful:
                    pair.answered.wait(_ANSWER_SECONDS)
                    self._doubt = None
                    break
        pair.reset()

    def _to_client(self, pair: _Pair) -> None:
        with suppress(OSError):
            while data := pair.server.recv(65536):
                if not self._may_pass(pair, data):
                    return
                if pair.doubtful:
                    pair.answered.set()
                    return
                self._speaking.wait()
                time.sleep(self.delay)
                pair.client.sendall(data)
        pair.reset()

    def _may_pass(self, pair: _Pair, data: bytes) -> bool:
        with self._lock:
            if pair.budget is None:
                return True
            if len(data) <= pair.budget:
                pair.budget -= len(data)
                return True
            if pair.budget >= 0:
                pair.budget = -1  # used up, and told
                self._on_cut()
        if not self._silent:
            pair.reset()
        return False


@contextmanager
def proxied(
    target: int,
    budgets: Sequence[int | None] = (),
    *,
    silent: bool = False,
    on_cut: Callable[[], None] = _nothing,
) -> Iterator[Proxy]:
    proxy = Proxy(target, budgets, silent=silent, on_cut=on_cut)
    try:
        yield proxy
    finally:
        proxy.close()


def _shut(each: socket.socket) -> None:
    # Closing alone would not wake the thread that accepts or receives.
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
