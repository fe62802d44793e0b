"""ML-RF in scikit-learn, and its files.

skops asks which types a file may hold; the answer stands here, never in the file. It trusts many
types by default and imports what a file names while it reads it, so every type is compared with
our list before skops sees the file. scikit-learn follows a tree's indices without checking them,
so they are checked after loading.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from configs.errors import ArtifactDamaged
from models.kind import Estimator, Labels, Matrix, Weights, require_both_classes
from models.kinds.ml_rf import KIND

CARD = None

TYPES = frozenset(
    {
        ("builtins.dict", "DictNode"),
        ("builtins.list", "ListNode"),
        ("builtins.tuple", "TupleNode"),
        ("builtins.str", "JsonNode"),
        ("builtins.str", "TypeNode"),
        ("numpy.int8", "NdArrayNode"),
        ("numpy.int64", "NdArrayNode"),
        ("numpy.ndarray", "NdArrayNode"),
        ("sklearn.ensemble._forest.RandomForestClassifier", "ObjectNode"),
        ("sklearn.tree._classes.DecisionTreeClassifier", "ObjectNode"),
        ("sklearn.tree._tree.Tree", "TreeNode"),
    }
)
"""Every type a forest's file may hold, with the way skops makes it. Nothing else is loaded."""

_MOST_UNPACKED = 100
"""Bytes for each byte of the file; a forest unpacks to 6 to 12."""


class Forest:
    """A RandomForestClassifier that ignores `eval_set` and adds up its trees in one order."""

    def __init__(self, forest: RandomForestClassifier) -> None:
        self.forest = forest

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,  # noqa: ARG002 - nothing to stop early
    ) -> Self:
        require_both_classes(y)
        self.forest.fit(X, y, sample_weight=sample_weight)
        return self

    def predict_proba(self, X: Matrix) -> NDArray[np.float64]:
        return cast(NDArray[np.float64], self.forest.predict_proba(X))


def build(params: Mapping[str, Any], *, seed: int, device: str) -> Forest:  # noqa: ARG001 - the CPU's alone
    # Several threads would add the trees' probabilities in whatever order they end.
    return Forest(RandomForestClassifier(**params, random_state=seed, n_jobs=1))


def save(estimator: Estimator, path: Path) -> None:
    skops.io.dump(
        cast(Forest, estimator).forest, path, compression=zipfile.ZIP_DEFLATED, compresslevel=1
    )


def load(path: Path, *, device: str) -> Forest:  # noqa: ARG001 - the CPU's alone
    try:
        nodes = list(_nodes_in(path))
        foreign = sorted({_type_of(node) for node in nodes} - TYPES)
        if foreign:
            name, loader = foreign[0]
            raise ArtifactDamaged(f"{path}: holds the type {name} ({loader}), no part of a forest")
        files = [str(node["file"]) for node in nodes if "file" in node]
        if len(set(files)) < len(files):  # each is unpacked by itself
            raise ArtifactDamaged(f"{path}: holds an array that stands for several")
        forest = skops.io.load(path, trusted=sorted({name for name, _ in TYPES}))
    except ArtifactDamaged:
        raise
    except Exception as error:  # skops raises whatever its parts do
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ArtifactDamaged(f"{path}: not a {KIND} model: {reason}") from error
    if not _is_sound(forest):
        raise ArtifactDamaged(f"{path}: not a {KIND} model, or its trees point outside themselves")
    return Forest(forest)


def _nodes_in(path: Path) -> Iterator[Mapping[str, Any]]:
    """Everything in a skops file that says how to make an object."""
    with zipfile.ZipFile(path) as file:
        unpacked = sum(member.file_size for member in file.infolist())  # no more than that is read
        if unpacked > _MOST_UNPACKED * path.stat().st_size:
            raise ArtifactDamaged(f"{path}: would unpack to {unpacked} bytes, no forest does")
        waiting: list[Any] = [json.loads(file.read("schema.json"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if not node.keys().isdisjoint(("__class__", "__module__", "__loader__")):
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _type_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """What it would be, and the node of skops that would make it."""
    return f"{node.get('__module__')}.{node.get('__class__')}", str(node.get("__loader__"))


def _is_sound(forest: Any) -> bool:
    """Whether it scores two classes, by trees whose indices all name a node or column there is."""
    if not isinstance(forest, RandomForestClassifier):
        return False
    state = vars(forest)
    trees, classes = state.get("estimators_"), state.get("classes_")
    return (
        isinstance(trees, list)
        and len(trees) > 0
        and np.array_equal(classes, (0, 1))
        and all(
            isinstance(tree, DecisionTreeClassifier)
            and _points_inside(tree, state.get("n_features_in_"))
            for tree in trees
        )
    )


def _points_inside(tree: DecisionTreeClassifier, n_features: int | None) -> bool:
    nodes = tree.tree_.__getstate__()["nodes"]
    numbers = np.arange(len(nodes))
    left, right, feature = nodes["left_child"], nodes["right_child"], nodes["feature"]
    inner = left != -1
    return bool(
        len(nodes) == tree.tree_.node_count
        and tree.tree_.n_features == n_features
        # A child comes after its parent: so no walk through the tree can go round in circles.
        and np.all(left[inner] > numbers[inner])
        and np.all(right[inner] > numbers[inner])
        and np.all(left[inner] < len(nodes))
        and np.all(right[inner] < len(nodes))
        and np.all(feature[inner] >= 0)
        and np.all(feature[inner] < n_features)
    )
