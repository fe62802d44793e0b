"""Versions of what determines a model's numbers."""

import platform
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from configs.installed import version_of

LIBRARIES = (
    "imbalanced-learn",
    "numpy",
    "pytorch-tabnet",
    "scikit-learn",
    "torch",
    "xgboost",
)


@cache
def versions() -> Mapping[str, str]:
    """Library to version, as installed here; imports none of them.

    Asked once a process: to read the metadata of a distribution takes milliseconds, and every
    model names these.
    """
    return MappingProxyType({name: version_of(name) or "none" for name in LIBRARIES})


@cache
def provenance() -> Mapping[str, str]:
    """The same with DeepCredit's own and Python's, for who asks later what a model was made by.

    These are not among what fingerprints are of, so a new one does not train models again.
    """
    own = version_of("deepcredit") or "none"
    made_by = {"deepcredit": own, "python": platform.python_version(), **versions()}
    return MappingProxyType(made_by)
