"""DL-DNN: dense layers with batch norm and ReLU, one sigmoid, binary cross-entropy, Adam (torch).

Parameters carry torch's names: `lr` and `weight_decay` of torch.optim.Adam; `hidden_units`, the
width of each hidden layer, as a list or one number; `dropout` after each of them; `batch_size`;
`max_epochs`; and `patience`, in epochs without a lower log loss on `valid` (null: never stop).
The weights kept are those of the best epoch. Where there is a card, it fits networks of large
batches and wide layers: with a `batch_size` of 1024 and two hidden layers, of 403 columns and units
or more.
"""

import itertools
from collections.abc import Mapping
from typing import Any

from models.hyperparameters import Either, ListOf, Null, Real, Spec, Whole, resolve

KIND = "DL-DNN"
FORMAT = "safetensors"

_PAYING = 310_000  # numbers kept of a batch for each layer; with fewer, a card waits for the next
_BESIDE = 6  # what a batch takes besides, in hidden layers: it is most of it
_WIDTH = Whole(1, 65_536)
SHAPE: dict[str, Spec] = {
    "hidden_units": Either(ListOf(_WIDTH, 16), _WIDTH),
    "dropout": Real(0, 1, below=True),
}
"""What a file has to say for the network to be built again."""

PARAMETERS: dict[str, Spec] = {
    **SHAPE,
    "lr": Real(0, 1000, above=True),
    "weight_decay": Real(0, 1000),
    "batch_size": Whole(2),
    "max_epochs": Whole(1, 100_000),
    "patience": Either(Whole(1), Null()),
}
DEFAULTS: dict[str, Any] = {
    "hidden_units": (128,),
    "dropout": 0.0,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 256,
    "max_epochs": 200,
    "patience": 20,
}


def check(params: Mapping[str, Any]) -> dict[str, Any]:
    return resolve(KIND, PARAMETERS, DEFAULTS, params)


def uses_gpu(params: Mapping[str, Any], rows: int, columns: int) -> bool:
    hidden = len(_widths(params, columns)) - 2
    return _kept(params, rows, columns) >= _PAYING * (hidden + _BESIDE)


def memory(params: Mapping[str, Any], rows: int, columns: int) -> int:
    """A copy of the rows; weights with gradients and Adam's two; a batch's layers."""
    weights = sum(inner * outer for inner, outer in itertools.pairwise(_widths(params, columns)))
    return int(4 * (rows * columns + 5 * weights + _kept(params, rows, columns)))


def _widths(params: Mapping[str, Any], columns: int) -> list[int]:
    units = params["hidden_units"]
    return [columns, *((units,) if isinstance(units, int) else units), 1]


def _kept(params: Mapping[str, Any], rows: int, columns: int) -> int:
    """How many numbers the layers keep of a batch."""
    return int(6 * min(params["batch_size"], rows) * sum(_widths(params, columns)))
