"""Asking a scheduler without a Client, which waits for ever where a port is open and nobody
speaks. The caller sets the deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from distributed.core import rpc
from distributed.security import Security

from configs.errors import ClusterUnavailable
from launcher.cluster.certificates import check_valid

_LISTEN_SECONDS = 8.0
_PAUSE_SECONDS = 0.5


@asynccontextmanager
async def speaking(address: str, certificates: Mapping[str, str] | None) -> AsyncIterator[Any]:
    """What answers a scheduler's remote calls. Calls raise OSError or RuntimeError if nobody does,
    which Dask finds out late: it goes on trying where nobody listens.
    """
    known = security(certificates) or Security()
    async with rpc(address, connection_args=known.get_connection_args("client")) as scheduler:
        try:
            yield scheduler
        except MemoryError as error:  # words of another protocol, taken for a length
            raise OSError(f"{address} does not speak as Dask does") from error


async def await_port(address: str) -> None:
    """Raises OSError where nobody listens for some seconds. To a busy scheduler the kernel
    connects, while Dask, if it speaks TLS, waits for the scheduler to connect.
    """
    async with asyncio.timeout(_LISTEN_SECONDS):
        while True:
            try:
                return await check_port(address)
            except OSError:
                await asyncio.sleep(_PAUSE_SECONDS)


async def check_port(address: str) -> None:
    """Raises OSError at once where nobody listens."""
    parts = urlsplit(address)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.close()


def security(certificates: Mapping[str, str] | None) -> Security | None:
    """Dask's form of ca, cert and key as PEM text.

    Raises:
        ClusterUnavailable: they are valid no more.
    """
    if certificates is None:
        return None
    try:
        check_valid(certificates)
    except ValueError as error:
        raise ClusterUnavailable(f"certificates: {error}") from error
    return Security(
        require_encryption=True,
        tls_ca_file=certificates["ca"],
        tls_client_cert=certificates["cert"],
        tls_client_key=certificates["key"],
    )
