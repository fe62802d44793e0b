"""Asking a scheduler without a Client, which waits for ever where a port is open and nobody
speaks. The caller sets the deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from distributed.core import rpc
from distributed.security import Security

from configs.errors import ClusterUnavailable
from launcher.cluster.certificates import check_valid
from launcher.host.addresses import is_open

_CONNECT_SECONDS = 8.0
_PORT_SECONDS = 3.0


@asynccontextmanager
async def speaking(address: str, certificates: Mapping[str, str] | None) -> AsyncIterator[Any]:
    """What answers a scheduler's remote calls. Calls raise OSError or RuntimeError if nobody does,
    which Dask finds out late: it goes on trying where nobody listens. Connecting may take less time
    than an answer, for to a busy scheduler the kernel connects, too; but not by TLS.
    """
    known = security(certificates) or Security()
    limit = None if certificates else _CONNECT_SECONDS
    arguments = known.get_connection_args("client")
    async with rpc(address, timeout=limit, connection_args=arguments) as scheduler:
        try:
            yield scheduler
        except MemoryError as error:  # words of another protocol, taken for a length
            raise OSError(f"{address} does not speak as Dask does") from error


async def check_port(address: str, certificates: Mapping[str, str] | None) -> None:
    """Raises OSError at once where nobody listens, or none to these certificates. It greets as TLS
    does, and takes its leave: a scheduler writes a warning of who does not.
    """
    parts = urlsplit(address)
    known = security(certificates)
    context = known.get_connection_args("client")["ssl_context"] if known else None
    _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def no_answer(address: str, advice: str) -> str:
    """What to say of a scheduler that could not be asked; `advice` is for where nobody listens."""
    text = f"{address} does not answer as a Dask scheduler"
    if not is_open(address, _PORT_SECONDS):
        return f"{text}; {advice}"
    if address.startswith("tls://"):
        return (
            f"{text}, yet listens: it hangs, has other certificates, or speaks tcp:// without any"
        )
    return f"{text}, yet listens: it hangs, is no scheduler, or has certificates and speaks tls://"


def security(certificates: Mapping[str, str] | None) -> Security | None:
    """Dask's form of ca, cert and key as PEM text.

    Raises:
        ClusterUnavailable: they are no longer valid.
    """
    if certificates is None:
        return None
    try:
        check_valid(certificates)
    except ValueError as error:
        raise ClusterUnavailable(f"certificates: {error}") from error
    files = {"cert": certificates["cert"], "key": certificates["key"]}
    ours = {
        f"tls_{role}_{file}": text
        for role in ("client", "scheduler", "worker")
        for file, text in files.items()
    }
    return Security(require_encryption=True, tls_ca_file=certificates["ca"], **ours)
