"""A few connections to one SFTP server, opened when needed, shared by any number of threads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from storage.artifacts.sftp_session import SftpSession
from storage.artifacts.sftp_wire import ConnectionLost


class Pool:
    """At most `size` connections; one more caller waits until one is given back."""

    def __init__(self, connect: Callable[[], SftpSession], size: int) -> None:
        self._connect = connect
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[SftpSession] = []
        self._closed = False

    @contextmanager
    def session(self) -> Iterator[SftpSession]:
        """A session for the caller alone.

        It is kept for the next caller only if nothing is under way on it. When one connection is
        lost, those that lie idle are dropped too: most likely they are as dead, and would each
        take their time to tell.
        """
        with self._slots:
            session = self._take()
            try:
                yield session
            except ConnectionLost:
                self._drop_idle()
                raise
            finally:
                self._give_back(session)

    def close(self) -> None:
        """Connections in use are closed as they are given back."""
        self._closed = True
        self._drop_idle()

    def _take(self) -> SftpSession:
        with self._lock:
            while self._idle:
                session = self._idle.pop()
                if session.reusable:
                    return session
                session.close()
        return self._connect()

    def _give_back(self, session: SftpSession) -> None:
        with self._lock:
            if session.reusable and not self._closed:
                self._idle.append(session)
                return
        session.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()
