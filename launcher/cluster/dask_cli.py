"""Dask's own commands, with what every process of a cluster needs."""

import errno
import os
import re
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from configs.errors import BadSetting
from launcher.child import python_environment
from launcher.cluster.certificates import FILES, read
from launcher.cluster.config import environment
from launcher.host import SEEN
from launcher.session import session

# What both commands are told.
Certificates = Annotated[
    Path | None,
    typer.Option(help="Folder for tls://.", metavar="DIR", show_default="as in [cluster]"),
]
More = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- OPTIONS", help="For Dask's own command, as they are."),
]


def become(*words: str, certified: Path | None, card: str = "") -> NoReturn:
    """Let `dask WORDS` take the place of this process; `card`: the one it may see.

    Its settings go as variables, since it reads some of them while it is imported.

    Raises:
        BadSetting: `certified` is no folder of certificates.
    """
    read(certified)
    ours = environment(encrypted=certified is not None) | {SEEN: card}
    command = [sys.executable, "-P", "-m", "dask", *words, *_tls(certified)]
    os.execve(command[0], command, python_environment() | ours)  # noqa: S606 - no shell is wanted


def certified(ctx: typer.Context, address: str, given: Path | None) -> Path | None:
    """The folder of certificates for an address: as given, or else as the settings say.

    Raises:
        BadSetting: it is no address; tls:// without certificates, or certificates without it; an
            option that would be lost with this process.
    """
    if given_before := ctx.find_root().obj.overrides:
        raise BadSetting(
            f"{', '.join(given_before)}: no option before this command is for it; a worker has its "
            "own from variables such as DEEPCREDIT_CACHE_DIR, and the rest from launchers"
        )
    named = re.fullmatch(r"(?:tcp|tls)://[^/\s]*:(\d+)", address)
    if named is None or not 0 < int(named[1]) < 2**16:
        raise BadSetting(f"{address} is no address like tcp://10.0.0.1:8786")
    if not address.startswith("tls://"):
        if given:
            raise BadSetting(f"--certificates: {address} does not speak TLS; write tls://...")
        return None
    if given:  # on a host of a cluster there are no settings
        return given
    cluster = session(ctx).settings.cluster
    if cluster is None or cluster.certificates is None:
        raise BadSetting(
            f"{address} speaks TLS; name the folder of its certificates with --certificates, or as "
            "`certificates` in the table [cluster] of deepcredit.toml"
        )
    return cluster.certificates


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


def _tls(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    options = {"--tls-ca-file": "ca", "--tls-cert": "cert", "--tls-key": "key"}
    return [
        word for option, name in options.items() for word in (option, str(folder / FILES[name]))
    ]
