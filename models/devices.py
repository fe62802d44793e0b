"""Which device a model is fitted and applied on."""

import torch

from models.kind import Kind


def best(kind: Kind) -> str:
    """`cuda` where the kind can use a GPU and the machine has one, else `cpu`."""
    return "cuda" if kind.USES_GPU and torch.cuda.is_available() else "cpu"
