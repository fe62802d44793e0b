"""ML-RF in scikit-learn, and its files: the arrays of all trees in a compressed .npz.

scikit-learn follows a tree's indices without checking them, so they are checked before it gets
them.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from configs import plugins
from configs.errors import ArtifactDamaged
from models.kind import Labels, Matrix, Weights, require_both_classes
from models.kinds.ml_rf import KIND
from models.trees import MOST_FEATURES, point_inside

with plugins.without("pandas"):  # it takes 65 MB, for frames that never come here
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree._tree import Tree

CARD = None

VERSION = 1

_NODE: dict[str, np.dtype[Any]] = {
    "left_child": np.dtype("<i4"),
    "right_child": np.dtype("<i4"),
    "feature": np.dtype("<i4"),
    "threshold": np.dtype("<f8"),
    "impurity": np.dtype("<f8"),
    "n_node_samples": np.dtype("<i4"),
    "weighted_n_node_samples": np.dtype("<f8"),
    "missing_go_to_left": np.dtype("u1"),
}
"""What scikit-learn has of each node, by its own names."""

_PER_NODE: dict[str, np.dtype[Any]] = {**_NODE, "positive": np.dtype("<f8")}
_PER_TREE: dict[str, np.dtype[Any]] = {"node_count": np.dtype("<i4"), "max_depth": np.dtype("<i4")}
_OF_ALL: dict[str, np.dtype[Any]] = {"version": np.dtype("<i4"), "n_features": np.dtype("<i4")}
_ARRAYS = {**_OF_ALL, **_PER_TREE, **_PER_NODE}
"""`positive` is a node's share of rows of class 1. The nodes of all trees stand in one array."""

_FREE, _MOST_UNPACKED = 64_000_000, 100
"""Bytes that any file may unpack to, and for each byte of it; a forest unpacks to 10 to 20."""

_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""zipfile unpacks these as far as it is asked; of others a whole block, whatever it makes."""


class Forest:
    """Trees that RandomForestClassifier grew, whose shares are added up in one order."""

    def __init__(
        self, params: Mapping[str, Any], *, seed: int, trees: list[Tree], n_features: int = 0
    ) -> None:
        self.params = dict(params)
        self.seed = seed
        self.trees = trees
        self.n_features = n_features

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,  # noqa: ARG002 - nothing to stop early
    ) -> Self:
        require_both_classes(y)
        params = self.params | self._drawn(len(X))
        forest = RandomForestClassifier(**params, random_state=self.seed, n_jobs=1)
        forest.fit(X, y, sample_weight=sample_weight)
        self.trees = [tree.tree_ for tree in forest.estimators_]
        self.n_features = X.shape[1]
        return self

    def _drawn(self, rows: int) -> dict[str, int]:
        """A share as `max_samples` as a count. scikit-learn would take it of the sum of weights, so
        that class weights of 1 and 1000 would let a tree draw each row hundreds of times.
        """
        share = self.params.get("max_samples")
        return {"max_samples": max(1, int(share * rows))} if isinstance(share, float) else {}

    def scores(self, X: Matrix) -> NDArray[np.float64]:
        if X.shape[1] != self.n_features:
            raise ValueError(f"{X.shape[1]} columns; the forest knows {self.n_features}")
        positive = np.zeros(len(X))
        for tree in self.trees:
            positive += tree.predict(X)[:, 1]
        return positive / len(self.trees)

    def save(self, path: Path) -> None:
        states = [tree.__getstate__() for tree in self.trees]
        nodes = np.concatenate([state["nodes"] for state in states])
        found: dict[str, Any] = {
            "version": VERSION,
            "n_features": self.n_features,
            "positive": np.concatenate([state["values"][:, 0, 1] for state in states]),
            **{name: [state[name] for state in states] for name in _PER_TREE},
            **{name: nodes[name] for name in _NODE},
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for name, dtype in _ARRAYS.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(
                        member, np.asarray(found[name], dtype), allow_pickle=False
                    )


def build(params: Mapping[str, Any], *, seed: int, device: str) -> Forest:  # noqa: ARG001 - the CPU's alone
    return Forest(params, seed=seed, trees=[])


def load(path: Path, *, device: str) -> Forest:  # noqa: ARG001 - the CPU's alone
    content = path.read_bytes()  # here, where a file that cannot be read is not taken for damaged
    try:
        stored = _read(content)
        _check(stored)
    except MemoryError as error:  # the host's want, no fault of the file
        raise MemoryError(f"{path}: no memory is left to read it") from error
    except Exception as error:  # zipfile and NumPy raise whatever their parts do
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ArtifactDamaged(f"{path}: not a {KIND} model: {reason}") from error
    return Forest({}, seed=0, trees=_trees(stored), n_features=int(stored["n_features"]))


def _read(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        unpacked = sum(member.file_size for member in file.infolist())  # no more than that is read
        if any(member.compress_type not in _BOUNDED for member in file.infolist()):
            raise ValueError("it is packed otherwise than a forest")
        if unpacked > _FREE + _MOST_UNPACKED * len(content):
            raise ValueError(f"it would unpack to {unpacked} bytes")
        if sorted(file.namelist()) != sorted(f"{name}.npy" for name in _ARRAYS):
            raise ValueError("it holds other arrays than those of a forest")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in _ARRAYS}


def _check(stored: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError unless these are trees that scikit-learn can follow without harm."""
    if {name: array.dtype for name, array in stored.items()} != _ARRAYS:
        raise ValueError("its arrays have other types than those of a forest")
    if any(stored[name].shape != () for name in _OF_ALL) or stored["version"] != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
    counts, n_features = stored["node_count"], int(stored["n_features"])
    if not (
        counts.ndim == 1
        and len(counts) > 0
        and np.all(counts > 0)
        and stored["max_depth"].shape == counts.shape
        and all(stored[name].shape == (counts.sum(),) for name in _PER_NODE)
    ):
        raise ValueError("its trees have more or less than their nodes")
    if not 0 < n_features <= MOST_FEATURES or not point_inside(
        counts,
        stored["left_child"],
        stored["right_child"],
        stored["feature"],
        n_features=n_features,
    ):
        raise ValueError("its trees point outside themselves")
    if not np.all((stored["positive"] >= 0) & (stored["positive"] <= 1)):
        raise ValueError("a share of its trees is not from 0 to 1")


def _trees(stored: Mapping[str, NDArray[Any]]) -> list[Tree]:
    n_features, counts = int(stored["n_features"]), stored["node_count"]
    two_classes = np.array([2], dtype=np.intp)
    empty = Tree(n_features, two_classes, 1)
    nodes = np.zeros(counts.sum(), dtype=empty.__getstate__()["nodes"].dtype)
    for name in _NODE:
        nodes[name] = stored[name]
    values = np.stack((1 - stored["positive"], stored["positive"]), axis=1)[:, np.newaxis, :]
    trees = []
    for last, count, depth in zip(np.cumsum(counts), counts, stored["max_depth"], strict=True):
        tree = Tree(n_features, two_classes, 1)
        part = slice(last - count, last)
        tree.__setstate__(
            {
                "max_depth": int(depth),
                "node_count": int(count),
                "nodes": nodes[part],
                "values": values[part],
            }
        )
        trees.append(tree)
    return trees
