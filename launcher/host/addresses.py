"""Addresses: of this host, free ones, those where somebody listens. Imports no Dask: agents of a
cluster must stay small.
"""

import errno
import fcntl
import ipaddress
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from configs.errors import BadSetting, ClusterUnavailable

_SIOCGIFADDR = 0x8915
_IPV6 = Path("/proc/net/if_inet6")
_GLOBAL = "00"


def of_interface(interface: str) -> str:
    """Its first IPv4 address, or if it has none its first global IPv6 address.

    Raises:
        ValueError: there is no such interface, or it has no address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            asked = struct.pack("256s", interface.encode()[:15])
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, asked)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and (found := _ipv6(interface)):
                return found
            raise ValueError(f"interface {interface}: {error.strerror}") from error
    return socket.inet_ntoa(answer[20:24])


def _ipv6(interface: str) -> str:
    for line in _IPV6.read_text(encoding="ascii").splitlines():
        number, _, _, scope, _, name = line.split()
        if name == interface and scope == _GLOBAL:
            return str(ipaddress.IPv6Address(bytes.fromhex(number)))
    return ""


def towards(address: str) -> str:
    """The address of this host from which it reaches another, given like tcp://10.0.0.1:8786.

    Raises:
        ClusterUnavailable: there is no way to it.
    """
    place = urlsplit(address)
    try:
        found = socket.getaddrinfo(place.hostname, place.port, type=socket.SOCK_DGRAM)
        # IPv4 first, as Dask takes it where a name has both.
        family, *_, where = min(found, key=lambda each: each[0] != socket.AF_INET)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)  # sends nothing
            here: str = probe.getsockname()[0]
    except OSError as error:
        raise ClusterUnavailable(f"no way from here to {address}: {error.strerror}") from error
    return here


def of_pages(ip: str, port: int) -> str:
    """Where Dask is to show pages: it takes no IPv6 address for them."""
    return f"{'localhost' if ':' in ip else ip}:{port}"


def is_open(address: str, seconds: float) -> bool:
    """Whether anybody listens at an address like tcp://host:8786, as far as shows by then."""
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname, place.port), seconds).close()
    except OSError:
        return False
    return True


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
