"""What the two network kinds ask of torch beside training: cards, threads, scoring.

The number of threads belongs to the process, which several fits may share: all set it to one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.kind import Labels, Matrix, Weights

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


def log_loss(y: Labels, scores: NDArray[np.float64], weight: Weights) -> float:
    """Weighted mean; a network's certainty is held to a float32's, as its scores are one."""
    smallest = np.finfo(np.float32).eps
    chance = np.clip(np.where(y == 1, scores, 1 - scores), smallest, 1)
    return float(np.average(-np.log(chance), weights=weight))


def apply(forward: Callable[[Tensor], Tensor], X: Matrix, device: str) -> NDArray[np.float64]:
    """Apply a network in evaluation mode to blocks of BLOCK rows, the last one padded."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(X), BLOCK):
            block = np.zeros((BLOCK, X.shape[1]), dtype=np.float32)
            height = min(BLOCK, len(X) - start)
            block[:height] = X[start : start + height]
            out = forward(torch.from_numpy(block).to(device))
            parts.append(out[:height].double().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros(0)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch has no more, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
