"""Versions of installed distributions, by the name of the library they hold."""

from importlib.metadata import PackageNotFoundError, version

# The same library for machines without a GPU, a hundredth of the size.
_OTHER_NAMES = {"xgboost": "xgboost-cpu"}


def version_of(library: str) -> str | None:
    """The installed version; None if there is none."""
    return _version(library) or _version(_OTHER_NAMES.get(library, library))


def can_use_cards(library: str) -> bool:
    """Whether the installed build of `torch` or `xgboost` knows NVIDIA cards."""
    found = _version(library)
    return found is not None and not found.endswith("+cpu")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
