"""Dask's own commands, with what every process of a cluster needs."""

import os
import re
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from configs.errors import BadSetting
from configs.settings import without_database, without_ours
from launcher.cluster.certificates import FILES, read
from launcher.cluster.config import environment, preloading
from launcher.host import python
from launcher.host.machine import SEEN
from launcher.host.private import private_folder
from launcher.terminal.session import session

_SCRATCH = "DASK_TEMPORARY_DIRECTORY"

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
        BadSetting: `certified` is no folder of certificates; there is none for temporary files.
    """
    read(certified)
    ours = environment(encrypted=certified is not None) | {SEEN: card}
    command = python.module("dask", *words, *_tls(certified))
    # Dask's processes import what is in this folder before anything else. Dask itself would take
    # a folder of /tmp that anybody may have made before.
    strip = without_database if words[0] == "worker" else without_ours  # a scheduler runs no tasks
    theirs = strip(python.environment())
    if _SCRATCH not in theirs:
        theirs[_SCRATCH] = _private_folder()
    environ = preloading() | theirs | ours
    os.execve(command[0], command, environ)  # noqa: S606 - no shell is wanted


def _private_folder() -> str:
    try:
        return str(private_folder())
    except OSError as error:
        raise BadSetting(f"no folder for temporary files: {error}; set TMPDIR to one") from error


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
        raise BadSetting(f"{address!r} is no address like tcp://10.0.0.1:8786")
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


def _tls(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    options = {"--tls-ca-file": "ca", "--tls-cert": "cert", "--tls-key": "key"}
    return [
        word for option, name in options.items() for word in (option, str(folder / FILES[name]))
    ]
