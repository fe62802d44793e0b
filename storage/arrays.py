"""Arrays in files that run no code when they are loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from configs.errors import ArtifactDamaged


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one safetensors file; equal arrays give equal bytes."""
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load(path: Path, *names: str) -> tuple[NDArray[Any], ...]:
    """The named arrays of a file written by `save`.

    Raises:
        ArtifactDamaged: not such a file, or a name is missing.
    """
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        raise ArtifactDamaged(f"{path.name} is not a safetensors file: {error}") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ArtifactDamaged(f"{path.name} has no array {missing[0]!r}, only {sorted(arrays)}")
    return tuple(arrays[name] for name in names)


def save_matrix(path: Path, matrix: NDArray[np.float32]) -> None:
    """Write one matrix so that `open_matrix` can map it."""
    np.save(path, matrix, allow_pickle=False)


def open_matrix(path: Path) -> NDArray[np.float32]:
    """Map a matrix into memory, read only: processes of one host share its pages."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise ArtifactDamaged(f"{path.name} is not a matrix: {error}") from error
    return np.asarray(matrix)
