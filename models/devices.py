"""Which device a model is fitted and applied on, and what happens when a card is full."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from configs.errors import CardFull
from models.kind import Card


def best(card: Card | None) -> str:
    """`cuda` where the kind can use a card and the machine has one, else `cpu`."""
    return "cuda" if card is not None and card.is_there() else "cpu"


def count() -> int:
    """Cards that the driver shows this process, asked without any library of models."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    found = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(found))
    return 0 if failed else found.value


@contextmanager
def minding_memory(card: Card | None) -> Iterator[None]:
    """Turn what libraries raise on a full card into CardFull, with the card emptied of our own."""
    said = None
    try:
        yield
    except Exception as error:
        if card is None or not card.is_full(error):
            raise
        said = f"{type(error).__name__}: {error}".splitlines()[0]
    # Outside of the handler, or the error would keep the frames that hold the memory.
    if said is not None:
        # What torch keeps of a card is kept from XGBoost too; a process without torch keeps none.
        if memory := sys.modules.get("torch.cuda.memory"):
            memory.empty_cache()
        raise CardFull(said)
