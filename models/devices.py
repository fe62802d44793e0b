"""Which device a model is fitted and applied on, and what happens when a card is full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from configs.errors import CardFull
from models.kind import Kind

# What XGBoost says of a card, in the words of CUDA.
_FULL = ("cudaErrorMemoryAllocation", "out of memory")


def best(kind: Kind) -> str:
    """`cuda` where the kind can use a GPU and the machine has one, else `cpu`."""
    return "cuda" if kind.USES_GPU and torch.cuda.is_available() else "cpu"


def is_full(error: BaseException) -> bool:
    """Whether an error of a library says that a card has no memory left."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    # By its name: to import XGBoost is the business of its kind.
    return type(error).__name__ == "XGBoostError" and any(word in str(error) for word in _FULL)


@contextmanager
def minding_memory() -> Iterator[None]:
    """Turn what libraries raise on a full card into CardFull, with the card emptied of our own."""
    said = None
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        said = f"{type(error).__name__}: {error}".splitlines()[0]
    # Outside of the handler, or the error would keep the frames that hold the memory.
    if said is not None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise CardFull(said)
