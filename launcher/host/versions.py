"""Versions that must be the same wherever a batch's code runs. Imports none of the libraries."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from configs.installed import version_of
from models.versions import LIBRARIES

# What determines the numbers, and what can be sent from one process to another, or read by it.
_SAME = (
    "deepcredit",
    *LIBRARIES,
    "cloudpickle",
    "dask",
    "distributed",
    "msgpack",
    "safetensors",
    "scipy",
)
_OURS = ("configs", "ensemble", "launcher", "models", "pipeline", "storage")


def versions() -> dict[str, str]:
    """Python, libraries and our own code as they are installed here."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {name: installed for name in _SAME if (installed := version_of(name))}
    return {"python": python, "deepcredit's code": _code()} | found


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What another place has in other versions, in words.

    Builds of one version are the same: hosts with cards have other builds of torch than the rest.
    """
    return [
        f"{name} {there.get(name, 'missing')} in place of {here.get(name, 'none')}"
        for name in sorted(here.keys() | there.keys())
        if _public(there.get(name, "")) != _public(here.get(name, ""))
    ]


def _public(version: str) -> str:
    """Without the label of its build, as in 2.13.0+cpu."""
    return version.partition("+")[0]


@cache
def _code() -> str:
    """A hash of our modules. Two states of one version are as different as two versions: what one
    pickles the other may read amiss, field by field.
    """
    root = Path(__file__).parents[2]
    summed = hashlib.sha256()
    for file in sorted(file for name in _OURS for file in (root / name).rglob("*.py")):
        summed.update(f"{file.relative_to(root)}\0".encode())
        summed.update(hashlib.sha256(file.read_bytes()).digest())
    return summed.hexdigest()[:12]
