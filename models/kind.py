"""What a model kind is, and how it is found: `ML-XGB` is models/kinds/ml_xgb.py."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from configs.errors import Unknown

Matrix = NDArray[np.float32]  # (n_rows, n_features)
Labels = NDArray[np.int8]  # (n_rows,), 0 or 1
Scores = NDArray[np.float32]  # (n_rows,), probability of 1


class Estimator(Protocol):
    """scikit-learn's contract, with the validation part given to `fit` for early stopping."""

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: NDArray[np.float64] | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self: ...

    def predict_proba(self, X: Matrix) -> NDArray[Any]:
        """Probabilities, shape (n_rows, 2)."""
        ...


class Kind(Protocol):
    """A module of models/kinds."""

    FORMAT: str
    """Extension of its files, without the dot."""

    DEFAULTS: Mapping[str, Any]
    """Hyper-parameters by the library's own names; model_param overrides them."""

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise BadParameter for a name or value the library does not know, naming it."""
        ...

    def build(
        self, params: Mapping[str, Any], *, seed: int, device: str, threads: int
    ) -> Estimator:
        """An unfitted estimator; `params` override DEFAULTS. `device` is `cpu` or `cuda`."""
        ...

    def save(self, estimator: Estimator, path: Path) -> None:
        """Write one file that runs no code when it is loaded."""
        ...

    def load(self, path: Path, *, device: str) -> Estimator: ...


def scores_of(estimator: Estimator, X: Matrix) -> Scores:
    """Probability of 1 as float32: what is stored, thresholded and measured."""
    return np.ascontiguousarray(estimator.predict_proba(X)[:, 1], dtype=np.float32)


def available() -> tuple[str, ...]:
    """Every model_id, sorted; a new kind is a new file."""
    folder = Path(__file__).parent / "kinds"
    names = (path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return tuple(sorted(name.replace("_", "-").upper() for name in names))


def find(model_id: str) -> Kind:
    """The kind of a model_id.

    Raises:
        Unknown: there is no such file; the message lists the kinds there are.
    """
    if model_id not in available():
        raise Unknown(f"unknown model_id {model_id!r}; there are: {', '.join(available())}")
    name = model_id.replace("-", "_").lower()
    return cast(Kind, importlib.import_module(f"models.kinds.{name}"))
