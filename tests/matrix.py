"""A prepared matrix as a whole; batches make it in pieces."""

import numpy as np
from numpy.typing import NDArray

from pipeline import preprocess
from pipeline.frames import Frame
from pipeline.rules import Preprocessor


def apply(
    fitted: Preprocessor, frame: Frame, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """C-contiguous."""
    matrix = np.empty(preprocess.shape(fitted, frame, rows), np.float32)
    np.concatenate([*preprocess.blocks(fitted, frame, rows)], out=matrix)
    return matrix
