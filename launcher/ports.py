"""Whether a port of this host is free. Imports no Dask: agents of a cluster must stay small."""

import errno
import socket
from urllib.parse import urlsplit

from configs.errors import BadSetting


def check_free(address: str) -> None:
    """Raises BadSetting: nobody can listen there, which Dask tells with many tracebacks."""
    place = urlsplit(address)
    try:
        found = socket.getaddrinfo(
            place.hostname or "0.0.0.0",  # noqa: S104 - as Dask, without a host
            place.port,
            type=socket.SOCK_STREAM,
        )
        family, _, _, _, where = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As Dask does: connections of a scheduler that has ended are in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = "a scheduler or another program has the port; end it, or choose another one"
        else:
            advice = "write an address and a port of this host, or tcp://:8786 for all addresses"
        raise BadSetting(f"cannot listen at {address}: {error.strerror}; {advice}") from error
