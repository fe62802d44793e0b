"""DL-TABNET: TabNet (pytorch-tabnet), saved as safetensors.

pytorch-tabnet 4.1.0 is the last version there will be, so only its network is used: the loss, the
optimiser, the clipping and the early stopping are those of its TabNetClassifier, in our training
loop, which prints nothing, weighs rows by their weight instead of drawing them by it, and does not
drop the only batch of a small data set. Names and defaults are the library's, except `patience`
and `eval_metric` (DEFAULTS); `optimizer_params` are those of torch.optim.Adam. Where there is a
card, it fits networks of large virtual batches: with the defaults, of 269 columns or more, and of
67 with a `virtual_batch_size` of 1024.
"""

from collections.abc import Mapping
from typing import Any

from configs.errors import BadParameter
from models.hyperparameters import Either, Flag, Null, Real, Spec, Table, Whole, Word, resolve

KIND = "DL-TABNET"
FORMAT = "safetensors"

_PAYING = 28_000  # numbers kept of a batch for each launch; with fewer, a card waits for the next
_BESIDE = 5  # the rest of a layer takes as long as so many normalisations
_ADAM = Table(
    {"lr": Real(0, 1000, above=True), "weight_decay": Real(0, 1000)},
    {"lr": 0.02, "weight_decay": 0.0},
)
SHAPE: dict[str, Spec] = {
    "n_d": Whole(1, 4096),
    "n_a": Whole(1, 4096),
    "n_steps": Whole(1, 100),
    "gamma": Real(1),
    "n_independent": Whole(0, 100),
    "n_shared": Whole(0, 100),
    "epsilon": Real(0, 1, above=True),
    "momentum": Real(0, 1, above=True),
    "mask_type": Word("sparsemax", "entmax"),
    "virtual_batch_size": Whole(2),
}
"""What a file has to say for the network to be built again."""

PARAMETERS: dict[str, Spec] = {
    **SHAPE,
    "lambda_sparse": Real(0),
    "clip_value": Real(0),
    "optimizer_params": _ADAM,
    "eval_metric": Word("auc", "logloss"),
    "max_epochs": Whole(1, 100_000),
    "patience": Either(Whole(1), Null()),
    "batch_size": Whole(2),
    "drop_last": Flag(),
}
DEFAULTS: dict[str, Any] = {
    "n_d": 8,
    "n_a": 8,
    "n_steps": 3,
    "gamma": 1.3,
    "n_independent": 2,
    "n_shared": 2,
    "epsilon": 1e-15,
    "momentum": 0.02,
    "mask_type": "sparsemax",
    "virtual_batch_size": 128,
    "lambda_sparse": 1e-3,
    "clip_value": 1.0,
    "optimizer_params": _ADAM.defaults,
    "eval_metric": "logloss",
    "max_epochs": 100,
    "patience": 20,
    "batch_size": 1024,
    "drop_last": True,
}


def check(params: Mapping[str, Any]) -> dict[str, Any]:
    resolved = resolve(KIND, PARAMETERS, DEFAULTS, params)
    if resolved["n_independent"] == resolved["n_shared"] == 0:
        raise BadParameter(f"{KIND}: n_independent and n_shared cannot both be 0")
    return resolved


def uses_gpu(params: Mapping[str, Any], rows: int, columns: int) -> bool:
    return _kept(params, rows, columns) >= _PAYING * _launches(params, rows)


def memory(params: Mapping[str, Any], rows: int, columns: int) -> int:
    """A copy of the rows; and of a batch what each step's layers keep for the way back."""
    return int(4 * (rows * columns + _kept(params, rows, columns)))


def _kept(params: Mapping[str, Any], rows: int, columns: int) -> int:
    """How many numbers the layers keep of a batch."""
    width = params["n_d"] + params["n_a"]
    layers = params["n_steps"] * (params["n_independent"] + params["n_shared"] + 1)
    of_a_row = 8 * width * layers + 6 * columns * params["n_steps"]
    return int(min(params["batch_size"], rows) * of_a_row)


def _launches(params: Mapping[str, Any], rows: int) -> int:
    """In proportion to the number of kernels of a batch: each virtual batch is normalised by
    itself, before the first step and in every step.
    """
    layers = params["n_independent"] + params["n_shared"]
    normalised = (params["n_steps"] + 1) * layers + params["n_steps"]
    virtual_batches = -(-min(params["batch_size"], rows) // params["virtual_batch_size"])
    return int(normalised * (virtual_batches + _BESIDE))
