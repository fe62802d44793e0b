"""Arrays in files that run no code when they are loaded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as in_bytes

from configs.errors import ArtifactDamaged


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one safetensors file; equal arrays give equal bytes."""
    content = in_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path.write_bytes(content)  # the library's own error would not tell a full disk from a bad array


def load(path: Path, *names: str) -> tuple[NDArray[Any], ...]:
    """The named arrays of a file written by `save`.

    Raises:
        ArtifactDamaged: not such a file, or a name is missing.
    """
    arrays = load_all(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ArtifactDamaged(f"{path.name} has no array {missing[0]!r}, only {sorted(arrays)}")
    return tuple(arrays[name] for name in names)


def load_all(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of a file written by `save`.

    Raises:
        ArtifactDamaged: it is not such a file.
    """
    try:
        return load_file(path)
    except (SafetensorError, TypeError, AttributeError, ValueError) as error:
        raise ArtifactDamaged(f"{path.name} is not a safetensors file: {error}") from error


def save_matrix(path: Path, shape: tuple[int, int], blocks: Iterable[NDArray[np.float32]]) -> None:
    """Write the rows of one matrix, in blocks, so that `open_matrix` can map it; the file is the
    one that numpy.save writes of the whole.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, "<f4").data)


def open_matrix(path: Path) -> NDArray[np.float32]:
    """Map a matrix into memory, read only: processes of one host share its pages.

    Raises:
        ArtifactDamaged: not a file written by `save_matrix`.
    """
    try:
        # Not numpy.load, which opens other formats as well.
        with np.errstate(over="raise"):
            matrix = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, TypeError, ArithmeticError, TokenError) as error:
        raise ArtifactDamaged(f"{path.name} is not a matrix: {error}") from error
    if matrix.ndim != 2 or matrix.dtype != np.dtype("<f4"):
        raise ArtifactDamaged(f"{path.name} is not a matrix: {matrix.ndim} times {matrix.dtype}")
    return np.asarray(matrix)
