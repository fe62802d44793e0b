"""Other processes of ours on this host: how Python is started for one, and what it prints."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

_LINE_LIMIT = 8192


def module(name: str, *words: str) -> tuple[str, ...]:
    """The command line that runs a module as a program, whatever the working directory has."""
    return (sys.executable, "-P", "-m", name, *words)


def program(name: str) -> tuple[str, ...]:
    """As `module`, of one of ours that has a `main`; see `launcher/host/program.py`."""
    return module("launcher.host.program", name)


def environment() -> dict[str, str]:
    """An environment in which a process finds our packages from any working directory."""
    root = str(Path(__file__).resolve().parents[2])
    found = dict(os.environ)
    # Site-packages before the standard library would let a stray backport replace a module.
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths = [root, *found.get("PYTHONPATH", "").split(os.pathsep)]
        found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return found


def piped(command: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that is spoken to through its pipes, in a session of its own: a Ctrl-C at the
    terminal is for whoever started it. `variables`: its whole environment. Raises OSError.
    """
    return subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        start_new_session=True,
    )


def lines_of(stream: IO[bytes]) -> Iterator[str]:
    """Lines as text; one that never ends (a progress bar) comes in pieces."""
    while line := stream.readline(_LINE_LIMIT):
        if text := line.decode("utf-8", "replace").rstrip():
            yield text
