"""A network as an estimator: what the two network kinds share of fitting, scoring and loading.

How many threads torch has belongs to the process, which several fits may share: all set it to one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import network_files, training
from models.adam import Adam
from models.hyperparameters import Spec
from models.kind import Labels, Matrix, Weights, require_both_classes
from models.weights import for_stopping

_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class _Card:
    def is_there(self) -> bool:
        return torch.cuda.is_available()

    def is_full(self, error: BaseException) -> bool:
        """By torch's own type, or CUDA's words, where a library of CUDA asked for the memory."""
        return isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
        )


TORCH_CARD = _Card()

BLOCK = 1024
"""Rows scored at once. Every product has this height, so a row's score does not depend on which
rows come with it."""


class Network(ABC):
    """A kind says what the network is, how it is trained, and what its output means.

    `params` are complete, as the kind's `check` returns them. `seed` alone decides the first
    weights, the order of rows and the dropout.
    """

    KIND: ClassVar[str]
    SHAPE: ClassVar[Mapping[str, Spec]]
    """The parameters that a file must have for the network to be built again."""

    def __init__(self, params: Mapping[str, Any], *, seed: int, device: str) -> None:
        self.params = params
        self.seed = seed
        self.device = device
        self.n_features = 0
        self.network: nn.Module | None = None

    @abstractmethod
    def make(self, n_features: int) -> nn.Module:
        """A new network."""

    @abstractmethod
    def optimizer(self, network: nn.Module) -> Adam: ...

    @abstractmethod
    def recipe(self) -> training.Recipe: ...

    @abstractmethod
    def forward(self, X: Tensor) -> Tensor:
        """The probability of 1 of each row."""

    @abstractmethod
    def loss(self, rows: training.Rows) -> Tensor:
        """What an epoch makes small."""

    def figure(self, y: Labels, scores: NDArray[np.float64], weight: Weights) -> float:
        """What training watches on `valid`, to be small: here the weighted log loss.

        A network's certainty is held to a float32's, as its scores are one.
        """
        smallest = np.finfo(np.float32).eps
        chance = np.clip(np.where(y == 1, scores, 1 - scores), smallest, 1)
        return float(np.average(-np.log(chance), weights=weight))

    @property
    def fitted(self) -> nn.Module:
        if self.network is None:
            raise ValueError("fit first")
        return self.network

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self:
        require_both_classes(y)
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.n_features = X.shape[1]
        with _one_thread():
            made, chance = training.seeded(
                lambda: self.make(self.n_features), seed=self.seed, device=self.device
            )
            self.network = made.to(self.device)
            training.train(
                self.network,
                self.optimizer(self.network),
                # The mean weight is 1, so that weights do not change the size of a step.
                training.table(X, y, weight / weight.mean(), self.device),
                self.recipe(),
                loss=self.loss,
                watch=self._watch(y, sample_weight, eval_set),
                chance=chance,
            )
        return self

    def scores(self, X: Matrix) -> NDArray[np.float64]:
        with _one_thread():
            return self._apply(X)

    def save(self, path: Path) -> None:
        description = {name: self.params[name] for name in self.SHAPE}
        description["n_features"] = self.n_features
        network_files.save(self.fitted, path, kind=self.KIND, description=description)

    def restore(self, n_features: int, weights: Mapping[str, Tensor]) -> Self:
        """Be the network of a file."""
        self.n_features = n_features
        self.network = network_files.rebuild(lambda: self.make(n_features), weights)
        self.network.to(self.device)
        return self

    def _watch(
        self, y: Labels, weight: Weights | None, eval_set: tuple[Matrix, Labels] | None
    ) -> Callable[[], float] | None:
        if eval_set is None:
            return None
        X_valid, y_valid = eval_set
        alike = for_stopping(y, weight, y_valid)
        if alike is None:
            return None
        return lambda: self.figure(y_valid, self._apply(X_valid), alike)

    def _apply(self, X: Matrix) -> NDArray[np.float64]:
        """In blocks of BLOCK rows, the last one padded."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(X), BLOCK):
                block = np.zeros((BLOCK, X.shape[1]), dtype=np.float32)
                height = min(BLOCK, len(X) - start)
                block[:height] = X[start : start + height]
                out = self.forward(torch.from_numpy(block).to(self.device))
                parts.append(out[:height].double().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch has no more, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
