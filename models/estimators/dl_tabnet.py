"""DL-TABNET in torch, and its files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_tabnet.tab_network import TabNet
from torch import Tensor, nn

from configs.errors import ArtifactDamaged, BadParameter
from models import network_files, tensors, training
from models.adam import Adam
from models.kind import Estimator, Labels, Matrix, Weights, require_both_classes
from models.kinds.dl_tabnet import KIND, SHAPE, check
from models.scores import auc
from models.weights import for_stopping

CARD = tensors.CARD


class AttentiveNetwork:
    """TabNet for two classes. `params` are complete, as `check` returns them."""

    def __init__(self, params: Mapping[str, Any], *, seed: int, device: str) -> None:
        self.params = params
        self.seed = seed
        self.device = device
        self.network_: TabNet | None = None

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self:
        require_both_classes(y)
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        given = self.params
        with tensors.one_thread():
            made, chance = training.seeded(
                lambda: _network(X.shape[1], given), seed=self.seed, device=self.device
            )
            self.network_ = cast(TabNet, made).to(self.device)
            training.train(
                self.network_,
                Adam(self.network_.parameters(), **given["optimizer_params"]),
                training.table(X, y, weight / weight.mean(), self.device),
                training.Recipe(
                    batch_size=given["batch_size"],
                    max_epochs=given["max_epochs"],
                    patience=given["patience"],
                    clip_value=given["clip_value"],
                    drop_last=given["drop_last"],
                    virtual_batch_size=given["virtual_batch_size"],
                ),
                loss=self._loss,
                watch=self._watch(y, sample_weight, eval_set),
                chance=chance,
            )
        return self

    def predict_proba(self, X: Matrix) -> NDArray[np.float64]:
        with tensors.one_thread():
            positive = tensors.apply(self._forward, X, self.device)
        return np.column_stack((1 - positive, positive))

    def _forward(self, X: Tensor) -> Tensor:
        logits, _ = self._fitted(X)
        positive: Tensor = torch.softmax(logits, dim=1)[:, 1]
        return positive

    def _loss(self, rows: training.Rows) -> Tensor:
        logits, entropy = self._fitted(rows.X)
        losses = nn.functional.cross_entropy(logits, rows.y.long(), reduction="none")
        sparsity = float(self.params["lambda_sparse"])
        return (losses * rows.weight).mean() - sparsity * entropy

    def _fitted(self, X: Tensor) -> tuple[Tensor, Tensor]:
        if self.network_ is None:
            raise ValueError("fit first")
        return cast(tuple[Tensor, Tensor], self.network_(X))

    def _watch(
        self, y: Labels, weight: Weights | None, eval_set: tuple[Matrix, Labels] | None
    ) -> Callable[[], float] | None:
        if eval_set is None:
            return None
        X_valid, y_valid = eval_set
        alike = for_stopping(y, weight, y_valid)
        if alike is None:
            return None

        def figure() -> float:
            scores = tensors.apply(self._forward, X_valid, self.device)
            if self.params["eval_metric"] == "auc":
                return -(auc(y_valid, scores.astype(np.float32)) or 0.0)
            return tensors.log_loss(y_valid, scores, alike)

        return figure


def build(params: Mapping[str, Any], *, seed: int, device: str) -> AttentiveNetwork:
    return AttentiveNetwork(params, seed=seed, device=device)


def save(estimator: Estimator, path: Path) -> None:
    model = cast(AttentiveNetwork, estimator)
    if model.network_ is None:
        raise ValueError("fit first")
    description = {name: model.params[name] for name in SHAPE}
    description["n_features"] = model.network_.input_dim
    network_files.save(model.network_, path, kind=KIND, description=description)


def load(path: Path, *, device: str) -> AttentiveNetwork:
    shape, weights = network_files.load(path, kind=KIND, specs=SHAPE)
    n_features = shape.pop("n_features")
    try:
        model = build(check(shape), seed=0, device=device)
    except BadParameter as error:
        raise ArtifactDamaged(f"{path}: not a {KIND} model: {error}") from error
    layers = shape["n_steps"] * (shape["n_independent"] + shape["n_shared"])
    if len(weights) < layers:  # to build thousands of them takes time
        raise ArtifactDamaged(
            f"{path}: not a {KIND} model: {len(weights)} weights, {layers} layers"
        )
    with network_files.without_weights():  # whatever sizes the file claims
        model.network_ = _network(n_features, model.params)
    network_files.restore(model.network_, weights)
    model.network_.to(device)
    return model


class _Groups(Tensor):
    """TabNet's matrix of groups where every feature is its own: ones on the diagonal.

    It changes nothing, so it is never filled: of 30,000 features it would take 3.6 GB.
    """

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.matmul:
            return args[0]
        return super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]


def _network(n_features: int, params: Mapping[str, Any]) -> TabNet:
    """Of numbers alone: categories arrive as columns of 0 and 1."""
    groups = torch.empty(n_features, n_features, device="meta")
    return TabNet(
        n_features,
        2,
        cat_idxs=[],
        cat_dims=[],
        group_attention_matrix=groups.as_subclass(_Groups),
        **{name: params[name] for name in SHAPE},
    )
