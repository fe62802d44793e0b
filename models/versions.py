"""Versions of what determines a model's numbers."""

from importlib.metadata import version

LIBRARIES = (
    "imbalanced-learn",
    "numpy",
    "pytorch-tabnet",
    "scikit-learn",
    "torch",
    "xgboost",
)


def versions() -> dict[str, str]:
    """Library to version, as installed here; imports none of them."""
    return {name: version(name) for name in LIBRARIES}
