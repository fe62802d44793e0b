"""How the two network kinds are trained: one loop.

The random generator of torch belongs to the process. Several fits may share a process (on a card),
so chance comes from a generator of each fit's own.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from configs.errors import BadParameter
from models.adam import Adam
from models.kind import Matrix


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
    """A batch on the device: X (n, f) and y, weight (n,), float32."""

    X: Tensor
    y: Tensor
    weight: Tensor


@dataclass(frozen=True, slots=True)
class Table:
    """All rows to learn from. For a CPU X stays the array it is: a mapped matrix is not copied."""

    X: Matrix | Tensor
    y: Tensor
    weight: Tensor

    @property
    def device(self) -> torch.device:
        return self.y.device

    def take(self, index: Tensor) -> Rows:
        if isinstance(self.X, Tensor):
            X = self.X[index]
        else:
            X = torch.from_numpy(self.X.take(index.numpy(), axis=0))
        return Rows(X, self.y[index], self.weight[index])


def train(
    network: nn.Module,
    optimizer: Adam,
    table: Table,
    recipe: Recipe,
    *,
    loss: Callable[[Rows], Tensor],
    watch: Callable[[], float] | None,
    chance: torch.Generator,
) -> None:
    """Fit `network` in place.

    With `watch`, a figure to be made small, taken after each epoch, the weights end as they were
    after the best epoch; of equal ones the first.

    Raises:
        BadParameter: the loss is no longer a number.
    """
    best, best_epoch, kept = math.inf, 0, None
    for epoch in range(1, recipe.max_epochs + 1):
        network.train()
        total = _epoch(network, optimizer, table, recipe, loss, chance)
        network.eval()
        figure = watch() if watch else 0.0
        if not (math.isfinite(total) and math.isfinite(figure)):
            raise BadParameter(f"the training diverged in epoch {epoch}; lower the learning rate")
        if watch is None:
            continue
        if figure < best:
            best, best_epoch = figure, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        elif recipe.patience is not None and epoch - best_epoch >= recipe.patience:
            break
    if kept is not None:
        network.load_state_dict(kept)


def _epoch(
    network: nn.Module,
    optimizer: Adam,
    table: Table,
    recipe: Recipe,
    loss: Callable[[Rows], Tensor],
    chance: torch.Generator,
) -> float:
    total = torch.zeros((), device=table.device)
    order = torch.randperm(len(table.X), generator=chance).to(table.device)
    for part in _batches(order, recipe):
        optimizer.zero_grad()
        value = loss(table.take(part))
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


def table(X: Matrix, y: NDArray[Any], weight: NDArray[np.float64], device: str) -> Table:
    """What a fit learns from, on its device."""

    def moved(array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=device)

    return Table(X if device == "cpu" else moved(X), moved(y), moved(weight))


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
