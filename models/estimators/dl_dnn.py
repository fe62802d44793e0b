"""DL-DNN in torch, and its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models import network_files, training
from models.adam import Adam
from models.kinds.dl_dnn import DEFAULTS, KIND, SHAPE
from models.network import TORCH_CARD, Network

CARD = TORCH_CARD


class Bend(nn.Module):
    """Bends each input x to x / sqrt(1 + (x / 3)^2), which stays between -3 and 3.

    Scaled by quartiles, ordinary values lie well inside and hardly change, but the income of one
    rich applicant may be 10^6: unbent, it alone would set the scale of its batch norm.
    """

    def forward(self, X: Tensor) -> Tensor:
        return X / torch.hypot(X / 3, X.new_ones(()))


class DenseNetwork(Network):
    KIND, SHAPE = KIND, SHAPE

    def make(self, n_features: int) -> nn.Sequential:
        layers: list[nn.Module] = [Bend()]
        width, hidden = n_features, self.params["hidden_units"]
        for units in (hidden,) if isinstance(hidden, int) else hidden:
            layers += [
                nn.Linear(width, units),
                nn.BatchNorm1d(units),
                nn.ReLU(),
                training.Dropout(self.params["dropout"]),
            ]
            width = units
        return nn.Sequential(*layers, nn.Linear(width, 1))

    def optimizer(self, network: nn.Module) -> Adam:
        named = {name: self.params[name] for name in ("lr", "weight_decay")}
        return Adam(network.parameters(), **named)

    def recipe(self) -> training.Recipe:
        names = ("batch_size", "max_epochs", "patience")
        return training.Recipe(**{name: self.params[name] for name in names})

    def forward(self, X: Tensor) -> Tensor:
        return torch.sigmoid(self._logits(X))

    def loss(self, rows: training.Rows) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(
            self._logits(rows.X), rows.y, weight=rows.weight
        )

    def _logits(self, X: Tensor) -> Tensor:
        logits: Tensor = self.fitted(X)
        return logits.squeeze(1)


def build(params: Mapping[str, Any], *, seed: int, device: str) -> DenseNetwork:
    # Not the seed itself, so that a model is fitted again as the first release fitted it.
    drawn = int(np.random.RandomState(seed).randint(2**31 - 1))
    return DenseNetwork(params, seed=drawn, device=device)


def load(path: Path, *, device: str) -> DenseNetwork:
    n_features, shape, weights = network_files.load(path, kind=KIND, specs=SHAPE)
    return DenseNetwork({**DEFAULTS, **shape}, seed=0, device=device).restore(n_features, weights)
