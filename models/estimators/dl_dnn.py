"""DL-DNN in torch, and its files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from models import network_files, tensors, training
from models.adam import Adam
from models.kind import Estimator, Labels, Matrix, Weights, require_both_classes
from models.kinds.dl_dnn import KIND, SHAPE
from models.weights import for_stopping

CARD = tensors.CARD


class Bend(nn.Module):
    """Bends each input x to x / sqrt(1 + (x / 3)^2), which stays between -3 and 3.

    Scaled by quartiles, ordinary values lie well inside and hardly change, but the income of one
    rich applicant may be 10^6: unbent, it alone would set the scale of its batch norm.
    """

    def forward(self, X: Tensor) -> Tensor:
        return X / torch.hypot(X / 3, X.new_ones(()))


class DenseNetwork(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A binary classifier of scikit-learn's conventions.

    `random_state` alone decides the first weights, the order of rows and the dropout.
    """

    def __init__(
        self,
        *,
        hidden_units: Sequence[int] | int = (128,),
        dropout: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        max_epochs: int = 200,
        patience: int | None = 20,
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self:
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. "
                f"The type of the target is {type_of_target(y)}."
            )
        require_both_classes(y)
        y = codes.astype(np.int8)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, float)
        if weight.shape != y.shape or not weight.sum() > 0:
            raise ValueError("sample_weight needs one weight a row, not all of them zero")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with tensors.one_thread():
            made, chance = training.seeded(
                lambda: _network(X.shape[1], self.hidden_units, self.dropout),
                seed=seed,
                device=self.device,
            )
            self.network_ = made.to(self.device)
            self.n_iter_ = training.train(
                self.network_,
                Adam(self.network_.parameters(), lr=self.lr, weight_decay=self.weight_decay),
                # The mean weight is 1, so that weights do not change the size of a step.
                training.table(X, y, weight / weight.mean(), self.device),
                training.Recipe(
                    batch_size=self.batch_size, max_epochs=self.max_epochs, patience=self.patience
                ),
                loss=self._loss,
                watch=self._watch(y, sample_weight, eval_set),
                chance=chance,
            )
        return self

    def predict_proba(self, X: Matrix) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        with tensors.one_thread():
            positive = tensors.apply(self._forward, X, self.device)
        return np.column_stack((1 - positive, positive))

    def predict(self, X: Matrix) -> NDArray[Any]:
        likelier = np.argmax(self.predict_proba(X), axis=1)
        return cast(NDArray[Any], self.classes_[likelier])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _forward(self, X: Tensor) -> Tensor:
        return torch.sigmoid(self.network_(X)).squeeze(1)

    def _loss(self, rows: training.Rows) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            self.network_(rows.X).squeeze(1), rows.y, weight=rows.weight
        )

    def _watch(
        self, y: Labels, weight: Weights | None, eval_set: tuple[Matrix, Labels] | None
    ) -> Callable[[], float] | None:
        if eval_set is None:
            return None
        y_valid = (np.asarray(eval_set[1]) == self.classes_[1]).astype(np.int8)
        alike = for_stopping(y, weight, y_valid)
        if alike is None:
            return None
        X_valid = validate_data(self, eval_set[0], dtype=np.float32, reset=False)
        return lambda: tensors.log_loss(
            y_valid, tensors.apply(self._forward, X_valid, self.device), alike
        )


def build(params: Mapping[str, Any], *, seed: int, device: str) -> DenseNetwork:
    return DenseNetwork(**params, random_state=seed, device=device)


def save(estimator: Estimator, path: Path) -> None:
    model = cast(DenseNetwork, estimator)
    description = {
        "n_features": model.n_features_in_,
        "hidden_units": model.hidden_units,
        "dropout": model.dropout,
    }
    network_files.save(model.network_, path, kind=KIND, description=description)


def load(path: Path, *, device: str) -> DenseNetwork:
    shape, weights = network_files.load(path, kind=KIND, specs=SHAPE)
    n_features = shape.pop("n_features")
    model = DenseNetwork(**shape, device=device)
    with network_files.without_weights():  # whatever sizes the file claims
        model.network_ = _network(n_features, model.hidden_units, model.dropout)
    network_files.restore(model.network_, weights)
    model.network_.to(device)
    model.n_features_in_ = n_features
    model.classes_ = np.array([0, 1], dtype=np.int8)
    return model


def _network(n_features: int, hidden_units: Sequence[int] | int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [Bend()]
    width = n_features
    for units in (hidden_units,) if isinstance(hidden_units, int) else hidden_units:
        layers += [
            nn.Linear(width, units),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            training.Dropout(dropout),
        ]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, 1))
