"""Versions of what determines a model's numbers."""

from configs.installed import version_of

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
    return {name: version_of(name) or "none" for name in LIBRARIES}
