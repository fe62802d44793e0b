"""ML-XGB in XGBoost, and its files.

XGBoost follows the indices in a file without checking them, some of them while it still reads it:
models/booster_files.py checks them first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from configs import plugins
from configs.errors import ArtifactDamaged, BadParameter
from models import booster_files, devices
from models.kind import Labels, Matrix, Weights, require_both_classes
from models.kinds.ml_xgb import BINS, DEFAULTS, KIND
from models.weights import for_stopping

with plugins.without("pandas"):  # which its scikit-learn would import, with 65 MB
    import xgboost as xgb


class _Card:
    """XGBoost does not say what cards there are, and to ask torch would cost 300 MB."""

    def is_there(self) -> bool:
        return bool(xgb.build_info()["USE_CUDA"]) and devices.count() > 0

    def is_full(self, error: BaseException) -> bool:
        """By the words of CUDA: there is one type for all errors."""
        full = ("cudaErrorMemoryAllocation", "out of memory")
        return isinstance(error, xgb.core.XGBoostError) and any(w in str(error) for w in full)


CARD = _Card()

_NO_MEMORY = "std::bad_alloc"
"""What XGBoost says where the host has none left."""


class Boosting:
    """Trees over a Booster. `booster_` holds only the trees that count."""

    def __init__(self, params: Mapping[str, Any], *, seed: int, device: str) -> None:
        own = ("n_estimators", "early_stopping_rounds")
        self.n_estimators = params["n_estimators"]
        self.early_stopping_rounds = params["early_stopping_rounds"]
        self.native = {
            **{name: value for name, value in params.items() if name not in own},
            "objective": "binary:logistic",
            "seed": seed,
            "device": device,
            "nthread": 1,
            "verbosity": 0,
        }
        self.booster_: xgb.Booster | None = None

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self:
        require_both_classes(y)
        train = self._quantised(X, y, sample_weight)
        evals, callbacks = [], []
        if eval_set is not None and self.early_stopping_rounds is not None:
            alike = for_stopping(y, self._felt(y, sample_weight), eval_set[1])
            if alike is not None:
                valid = xgb.DMatrix(*eval_set, weight=alike, nthread=1)
                evals = [(valid, "valid")]
                callbacks = [
                    xgb.callback.EarlyStopping(rounds=self.early_stopping_rounds, save_best=True)
                ]
        try:
            self.booster_ = xgb.train(
                self.native,
                train,
                self.n_estimators,
                evals=evals,
                callbacks=callbacks,
                verbose_eval=False,
            )
        except xgb.core.XGBoostError as error:
            if CARD.is_full(error):
                raise
            raise BadParameter(f"{KIND}: {_first_line(error)}") from error
        return self

    def _felt(self, y: Labels, weight: Weights | None) -> Weights:
        """Weights as they act in training, where XGBoost multiplies those of class 1."""
        scale = self.native.get("scale_pos_weight", 1.0)
        return np.where(y == 1, scale, 1.0) * (1.0 if weight is None else weight)

    def _quantised(self, X: Matrix, y: Labels, weight: Weights | None) -> xgb.DMatrix:
        """What `hist` makes of a DMatrix anyway, without the eight bytes a value of the latter;
        the model is the same, bit for bit.
        """
        by_hist = self.native.get("tree_method", "auto") in ("auto", "hist")
        if not by_hist or self.native["device"] != "cpu":
            return xgb.DMatrix(X, y, weight=weight, nthread=1)
        bins = self.native.get("max_bin", BINS)
        return xgb.QuantileDMatrix(X, y, weight=weight, nthread=1, max_bin=bins)

    @property
    def fitted(self) -> xgb.Booster:
        if self.booster_ is None:
            raise ValueError("fit first")
        return self.booster_

    def scores(self, X: Matrix) -> NDArray[np.float32]:
        if self.native["device"] == "cpu":  # reads the rows where they lie
            found = self.fitted.inplace_predict(X)
        else:
            found = self.fitted.predict(xgb.DMatrix(X, nthread=1))
        return cast(NDArray[np.float32], found)

    def save(self, path: Path) -> None:
        self.fitted.set_attr(kind=KIND)
        path.write_bytes(self.fitted.save_raw("ubj"))


def build(params: Mapping[str, Any], *, seed: int, device: str) -> Boosting:
    return Boosting(params, seed=seed, device=device)


def load(path: Path, *, device: str) -> Boosting:
    content = path.read_bytes()
    booster = xgb.Booster()
    try:
        booster_files.check(content)
        booster.load_model(bytearray(content))
        origin = booster.attr("kind")
    except (xgb.core.XGBoostError, ValueError) as error:
        if _NO_MEMORY in str(error):  # the host's want, no fault of the file
            raise MemoryError(f"{path}: no memory is left to read it") from error
        raise ArtifactDamaged(f"{path}: not a {KIND} model: {_first_line(error)}") from error
    if origin != KIND:
        raise ArtifactDamaged(f"{path}: not a {KIND} model: an XGBoost model of another origin")
    booster.set_param({"device": device, "nthread": 1, "verbosity": 0})
    model = Boosting(DEFAULTS, seed=0, device=device)
    model.booster_ = booster
    return model


def _first_line(error: Exception) -> str:
    """What XGBoost says, without its stack trace and file positions."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[0].rpartition(": ")[2] if lines else type(error).__name__).strip()
