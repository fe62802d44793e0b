"""Dask's client, of which nothing is left when it is closed or cannot connect."""

import contextlib
from collections.abc import Mapping
from typing import Any

from distributed import Client
from distributed.client import ClosedClientError

from launcher.cluster.speaking import security

GONE = (ClosedClientError, OSError, RuntimeError, ValueError)
"""What a client raises whose scheduler is gone."""

_CLOSE_SECONDS = 3.0


def open_client(address: str, certificates: Mapping[str, str] | None, patience: float) -> Client:
    """The caller closes it, which takes a few seconds at most and raises nothing.

    Raises:
        OSError: no answer within so many seconds.
        ClusterUnavailable: the certificates are no longer valid.
    """
    client: Client = _Client(  # type: ignore[no-untyped-call]
        address, security=security(certificates), timeout=patience, set_as_default=False
    )
    return client


class _Client(Client):
    """Dask's own keeps its thread and its pipes when it cannot connect, when its scheduler is gone
    for good before it is closed, and when closing takes too long; and it waits for ever where a
    port is open and nobody speaks.
    """

    def start(self, **options: Any) -> None:
        limit = options["timeout"]
        try:
            super().start(callback_timeout=limit, **options)  # type: ignore[no-untyped-call]
        except BaseException:
            self.close()
            raise

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        try:
            with contextlib.suppress(*GONE):
                super().close(timeout)  # type: ignore[no-untyped-call]
        finally:
            self._loop_runner.stop()
            self.status = "closed"

    def __del__(self) -> None:
        """Dask's would close it, in the middle of whatever runs when the garbage collector comes
        by, and wait there.
        """
