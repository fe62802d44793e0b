"""DL-TABNET in torch, and its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_tabnet.tab_network import TabNet
from torch import Tensor, nn

from configs.errors import ArtifactDamaged, BadParameter
from models import network_files, training
from models.adam import Adam
from models.kind import Labels, Weights
from models.kinds.dl_tabnet import KIND, SHAPE, check
from models.network import TORCH_CARD, Network
from models.scores import auc

CARD = TORCH_CARD


class AttentiveNetwork(Network):
    """TabNet for two classes."""

    KIND, SHAPE = KIND, SHAPE

    def make(self, n_features: int) -> TabNet:
        """A network of numeric columns only: categories arrive as columns of 0 and 1."""
        groups = torch.empty(n_features, n_features, device="meta")
        return TabNet(
            n_features,
            2,
            group_attention_matrix=groups.as_subclass(_Groups),
            **{name: self.params[name] for name in SHAPE},
        )

    def optimizer(self, network: nn.Module) -> Adam:
        return Adam(network.parameters(), **self.params["optimizer_params"])

    def recipe(self) -> training.Recipe:
        names = (
            "batch_size",
            "max_epochs",
            "patience",
            "clip_value",
            "drop_last",
            "virtual_batch_size",
        )
        return training.Recipe(**{name: self.params[name] for name in names})

    def forward(self, X: Tensor) -> Tensor:
        logits, _ = self._outputs(X)
        positive: Tensor = torch.softmax(logits, dim=1)[:, 1]
        return positive

    def loss(self, rows: training.Rows) -> Tensor:
        logits, entropy = self._outputs(rows.X)
        losses = nn.functional.cross_entropy(logits, rows.y.long(), reduction="none")
        sparsity = float(self.params["lambda_sparse"])
        return (losses * rows.weight).mean() - sparsity * entropy

    def figure(self, y: Labels, scores: NDArray[np.float64], weight: Weights) -> float:
        if self.params["eval_metric"] == "auc":
            return -(auc(y, scores.astype(np.float32)) or 0.0)
        return super().figure(y, scores, weight)

    def _outputs(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both classes, and the entropy of the masks."""
        return cast(tuple[Tensor, Tensor], self.fitted(X))


def build(params: Mapping[str, Any], *, seed: int, device: str) -> AttentiveNetwork:
    return AttentiveNetwork(params, seed=seed, device=device)


def load(path: Path, *, device: str) -> AttentiveNetwork:
    n_features, shape, weights = network_files.load(path, kind=KIND, specs=SHAPE)
    try:
        model = build(check(shape), seed=0, device=device)
    except BadParameter as error:
        raise ArtifactDamaged(f"{path}: not a {KIND} model: {error}") from error
    layers = shape["n_steps"] * (shape["n_independent"] + shape["n_shared"])
    if len(weights) < layers:  # to build thousands of them takes time
        raise ArtifactDamaged(
            f"{path}: not a {KIND} model: {len(weights)} weights, {layers} layers"
        )
    return model.restore(n_features, weights)


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
        return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
