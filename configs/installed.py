"""Versions of installed distributions, by the name of the library they hold."""

from importlib.metadata import PackageNotFoundError, version

# The same library for machines without a GPU, a hundredth of the size.
_OTHER_NAMES = {"xgboost": "xgboost-cpu"}


def version_of(library: str) -> str | None:
    """The installed version; None if there is none."""
    for name in (library, _OTHER_NAMES.get(library)):
        try:
            if name is not None:
                return version(name)
        except PackageNotFoundError:
            continue
    return None
