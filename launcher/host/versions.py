"""Versions that must be the same wherever a batch's code runs. Imports none of the libraries."""

import sys
from collections.abc import Mapping

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


def versions() -> dict[str, str]:
    """Python and libraries as they are installed here."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {name: installed for name in _SAME if (installed := version_of(name))}
    return {"python": python} | found


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
