"""What the two network kinds share: one training loop, one way to score, one file format.

The number of threads and the random generator of torch belong to the process. Several fits may
share a process (on a card), so chance comes from a generator of each fit's own, and all of them set
the number of threads to one.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from configs.errors import ArtifactDamaged, BadParameter
from models.kind import Labels, Matrix, Weights
from models.parameters import Spec, Whole, read

_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class _Card:
    def is_there(self) -> bool:
        return torch.cuda.is_available()

    def is_full(self, error: BaseException) -> bool:
        """By torch's own type, or CUDA's words, where a library of CUDA asked for the memory."""
        return isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
        )


CARD = _Card()

BLOCK = 1024
"""Rows scored at once. Every product has this height, so a row's score does not depend on which
rows come with it."""

VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a network is trained. `patience` counts epochs without a better `watch`."""

    batch_size: int
    max_epochs: int
    patience: int | None
    clip_value: float = 0
    drop_last: bool = False
    virtual_batch_size: int | None = None
    """Rows that one batch norm sees; None: the batch."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows on the device: X (n, f) and y, weight (n,)."""

    X: Tensor
    y: Tensor
    weight: Tensor

    def take(self, index: Tensor) -> "Rows":
        return Rows(self.X[index], self.y[index], self.weight[index])


def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: Rows,
    recipe: Recipe,
    *,
    loss: Callable[[Rows], Tensor],
    watch: Callable[[], float] | None,
    chance: torch.Generator,
) -> int:
    """Fit `network` in place and return the number of epochs its weights have seen.

    With `watch`, a figure to be made small, taken after each epoch, the weights end as they were
    after the best epoch; of equal ones the first.

    Raises:
        BadParameter: the loss is no longer a number.
    """
    best, best_epoch, kept = math.inf, 0, None
    for epoch in range(1, recipe.max_epochs + 1):
        network.train()
        total = _epoch(network, optimizer, rows, recipe, loss, chance)
        network.eval()
        figure = watch() if watch else 0.0
        if not (math.isfinite(total) and math.isfinite(figure)):
            raise BadParameter(f"the training diverged in epoch {epoch}; lower the learning rate")
        if watch is None:
            best_epoch = epoch
        elif figure < best:
            best, best_epoch = figure, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        elif recipe.patience is not None and epoch - best_epoch >= recipe.patience:
            break
    if kept is not None:
        network.load_state_dict(kept)
    return best_epoch


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: Rows,
    recipe: Recipe,
    loss: Callable[[Rows], Tensor],
    chance: torch.Generator,
) -> float:
    total = torch.zeros((), device=rows.X.device)
    order = torch.randperm(len(rows.X), generator=chance).to(rows.X.device)
    for part in _batches(order, recipe):
        optimizer.zero_grad()
        value = loss(rows.take(part))
        value.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_value:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_value)
        optimizer.step()
        total += value.detach()
    return float(total)


def _batches(order: Tensor, recipe: Recipe) -> list[Tensor]:
    """Rows of an epoch, cut so that no batch norm sees a single row, from which it cannot learn.

    A row left out has its turn in another epoch. `drop_last` leaves out an incomplete last batch,
    but never the only one.
    """
    parts = list(torch.split(order, recipe.batch_size))
    if recipe.drop_last and len(parts) > 1 and len(parts[-1]) < recipe.batch_size:
        parts.pop()
    heights = [_normalisable(len(part), recipe.virtual_batch_size) for part in parts]
    return [part[:height] for part, height in zip(parts, heights, strict=True) if height]


def _normalisable(height: int, virtual: int | None) -> int:
    """The largest height up to this one whose virtual batches all have two rows or more.

    They are those of torch.chunk: as many as the virtual size asks for, the last one smaller.
    """
    while height > 0:
        chunk = math.ceil(height / math.ceil(height / (virtual or height)))
        if chunk > 1 and height % chunk != 1:
            return height
        height -= 1
    return 0


def rows(X: Matrix, y: NDArray[Any], weight: NDArray[np.float64], device: str) -> Rows:
    """Copies on the device; y and weight as float32."""
    return Rows(
        *(torch.tensor(array, dtype=torch.float32, device=device) for array in (X, y, weight))
    )


def log_loss(y: Labels, scores: NDArray[np.float64], weight: Weights) -> float:
    """Weighted mean; a network's certainty is held to a float32's, as its scores are one."""
    smallest = np.finfo(np.float32).eps
    chance = np.clip(np.where(y == 1, scores, 1 - scores), smallest, 1)
    return float(np.average(-np.log(chance), weights=weight))


def apply(forward: Callable[[Tensor], Tensor], X: Matrix, device: str) -> NDArray[np.float64]:
    """Apply a network in evaluation mode to blocks of BLOCK rows, the last one padded."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(X), BLOCK):
            block = np.zeros((BLOCK, X.shape[1]), dtype=np.float32)
            height = min(BLOCK, len(X) - start)
            block[:height] = X[start : start + height]
            out = forward(torch.from_numpy(block).to(device))
            found.append(out[:height].double().cpu().numpy())
    return np.concatenate(found) if found else np.zeros(0)


class Dropout(nn.Dropout):
    """torch's, with a generator of the fit's own, which `seeded` gives it."""

    chance: torch.Generator | None = None

    def forward(self, X: Tensor) -> Tensor:
        if not self.training or not self.p:
            return X
        kept = torch.empty_like(X).bernoulli_(1 - self.p, generator=self.chance)
        return X * kept.div_(1 - self.p)


_SEEDING = threading.Lock()


def seeded(
    make: Callable[[], nn.Module], *, seed: int, device: str
) -> tuple[nn.Module, torch.Generator]:
    """A new network on the CPU whose first weights `seed` decides, and the chance of its training.

    On the CPU one generator draws weights, order and dropout; a card draws its dropout itself.
    """
    chance = torch.Generator()
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make()
        chance.set_state(torch.get_rng_state())
    of_dropout = chance
    if device != "cpu":
        of_dropout = torch.Generator(device).manual_seed(seed)
    for module in network.modules():
        if isinstance(module, Dropout):
            module.chance = of_dropout
    return network, chance


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch has no more, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save(network: nn.Module, path: Path, *, kind: str, description: Mapping[str, Any]) -> None:
    """Write the weights as safetensors, with what rebuilds the network in its metadata."""
    # Copies, because TabNet's layers share weights and safetensors knows no sharing.
    tensors = {
        name: value.cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    metadata = {"kind": kind, "version": VERSION, "network": json.dumps(description)}
    save_file(tensors, path, metadata=metadata)


def load(
    path: Path, *, kind: str, specs: Mapping[str, Spec]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `save` wrote: the description, of `specs` and `n_features`, and the weights.

    Raises:
        ArtifactDamaged: the file is not one of this kind.
    """
    all_specs = {"n_features": Whole(1, 1_000_000), **specs}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if (metadata.get("kind"), metadata.get("version")) != (kind, VERSION):
            raise ArtifactDamaged(f"{path}: not a {kind} model of version {VERSION}")
        description = json.loads(metadata["network"])
        if not isinstance(description, dict) or description.keys() != all_specs.keys():
            raise ArtifactDamaged(f"{path}: not a {kind} model: it is described as another thing")
        values = {name: read(name, spec, description[name]) for name, spec in all_specs.items()}
        return values, load_file(path)
    except (
        safetensors.SafetensorError,
        BadParameter,
        KeyError,
        ValueError,
        RecursionError,
    ) as error:
        raise ArtifactDamaged(f"{path}: not a {kind} model: {error}") from error


def restore(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put weights into a network of exactly their names, shapes and types.

    The network may be on the meta device: it is not filled, its tensors are replaced.

    Raises:
        ArtifactDamaged: the file describes another network than it holds.
    """
    wanted = {name: (value.shape, value.dtype) for name, value in network.state_dict().items()}
    if wanted != {name: (value.shape, value.dtype) for name, value in tensors.items()}:
        raise ArtifactDamaged("the model file holds other weights than its description says")
    network.load_state_dict(tensors, assign=True)
    network.eval()
