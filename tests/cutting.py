"""A TCP proxy that cuts each connection, or falls silent, after so many bytes."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress


def _nothing() -> None:
    return


class CuttingProxy:
    """Connection n may pass `budgets[n]` bytes, both ways together; None and later ones any number.

    When a budget is used up `on_cut` is called, and the connection closed or, if `silent`, kept
    open without another byte.
    """

    def __init__(
        self,
        target: tuple[str, int],
        budgets: Sequence[int | None],
        *,
        silent: bool,
        on_cut: Callable[[], None],
    ) -> None:
        self._target = target
        self._budgets = list(budgets)
        self._silent = silent
        self._on_cut = on_cut
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((target[0], 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed: list[int] = []
        """Bytes of each connection so far."""
        self._start(self._accept)

    def close(self) -> None:
        _shut(self._listener)
        for each in self._sockets:
            _shut(each)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                number = len(self.passed)
                self.passed.append(0)
                self._start(self._pump, number, client, server)
                self._start(self._pump, number, server, client)

    def _pump(self, number: int, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._may_pass(number, len(data)):
                    if self._silent:
                        return
                    break
                sink.sendall(data)
        _shut(source)
        _shut(sink)

    def _may_pass(self, number: int, size: int) -> bool:
        with self._lock:
            budget = self._budgets[number] if number < len(self._budgets) else None
            within = budget is None or self.passed[number] + size <= budget
            if within:
                self.passed[number] += size
            elif budget is not None and budget >= 0:
                self._budgets[number] = -1  # used up, and told
                self._on_cut()
            return within

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()


@contextmanager
def cutting_proxy(
    target: tuple[str, int],
    budgets: Sequence[int | None],
    *,
    silent: bool = False,
    on_cut: Callable[[], None] = _nothing,
) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(target, budgets, silent=silent, on_cut=on_cut)
    try:
        yield proxy
    finally:
        proxy.close()


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
