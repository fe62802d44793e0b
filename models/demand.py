"""What a fit or an application of a model takes: estimates, made before anything is begun."""

import math
from dataclasses import dataclass

from models import kind
from models.variants import Variant

_MB = 2**20
_BESIDE_MB = 50  # buffers, the model itself, scores
_QUARTER_MB = 2_000
"""A quarter of a card: small fits share one in fours; cards have eight gigabytes or more."""

_LARGE_BYTES = 64 * _MB
"""A matrix from which on a process of its own is worth its start, of a second or two."""
_PROCESS_MB = 120
"""What that takes by itself, without pages that it shares: the libraries of one kind."""

_GROWING = ("over", "smote", "adasyn", "smoteenn", "smotetomek")


@dataclass(frozen=True, slots=True)
class Demand:
    """`gpu`: the share of a card, in quarters; 0 where none is of use. `apart`: whether it is worth
    a process of its own, which loads the libraries of its kind alone and gives all memory back.
    """

    memory_mb: int
    gpu: float
    apart: bool


def of_fit(model_id: str, variant: Variant, *, rows: int, all_rows: int, columns: int) -> Demand:
    """What a fit needs that trains on the first `rows` of the `all_rows` of the mapped matrix."""
    chosen = kind.find(model_id)
    matrix = 4 * all_rows * columns
    taken = matrix
    if variant.resampling != "none":
        # To as many rows again, in copies: of the rows, and of the result.
        rows *= 2 if variant.resampling in _GROWING else 1
        taken += 2 * 4 * rows * columns
    taken += chosen.memory(variant.params, rows, columns)
    return _demand(taken, matrix, card=chosen.uses_gpu(variant.params, rows, columns))


def of_scoring(*, device: str | None, matrix_bytes: int, model_bytes: int) -> Demand:
    """The matrix, mapped and once in the library's own form; a model unpacks to several times.

    `device` is what the model was fitted on: its scores are the same, bit for bit, only there. It
    is not known of models from before it was kept, which came from machines without a card.
    """
    return _demand(4 * matrix_bytes + 8 * model_bytes, matrix_bytes, card=device == "cuda")


def _demand(taken: int, matrix_bytes: int, *, card: bool) -> Demand:
    memory_mb = _BESIDE_MB + math.ceil(taken / _MB)
    share = min(1.0, math.ceil(memory_mb / _QUARTER_MB) / 4) if card else 0.0
    apart = matrix_bytes >= _LARGE_BYTES
    return Demand(memory_mb + (_PROCESS_MB if apart else 0), share, apart)
