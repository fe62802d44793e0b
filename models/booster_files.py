"""Whether an XGBoost model's file holds what ML-XGB saves, told without XGBoost.

XGBoost follows the indices in a file without checking them, some of them while it still reads.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ubjson
from models.trees import MOST_FEATURES, point_inside

_WIDE = {
    ord("d"): (b"base_weights", b"loss_changes", b"split_conditions", b"sum_hessian"),
    ord("l"): (b"left_children", b"parents", b"right_children", b"split_indices"),
}
_NARROW = {ord("U"): (b"default_left", b"split_type")}
_NODES = [
    (name, marker, size)
    for size, types in ((4, _WIDE), (1, _NARROW))
    for marker, names in types.items()
    for name in names
]
"""What a tree has of each of its nodes, with its type in UBJSON and bytes a node."""

_CATEGORIES = (
    b"categories",
    b"categories_nodes",
    b"categories_segments",
    b"categories_sizes",
)


def check(content: bytes) -> None:
    """Raise ValueError unless XGBoost can read the file and follow its trees without harm."""
    try:
        _check(ubjson.read(content)[b"learner"])
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it lacks a part: {type(error).__name__}") from error
    except struct.error as error:
        raise ValueError("it is cut off") from error


def _check(learner: Any) -> None:
    shape, boosting = learner[b"learner_model_param"], learner[b"gradient_booster"]
    model = boosting[b"model"]
    size, trees = model[b"gbtree_model_param"], model[b"trees"]
    n_features = _whole(shape[b"num_feature"])
    if not (
        (_whole(shape[b"num_class"]), _whole(shape[b"num_target"])) == (0, 1)
        and 0 < n_features <= MOST_FEATURES
        and 0 < float(shape[b"base_score"].strip(b"[]")) < 1
        and boosting[b"name"] == b"gbtree"
        and learner[b"objective"][b"name"] == b"binary:logistic"
        and not any(model.get(b"cats", {}).values())
        and _whole(size[b"num_trees"]) == len(trees) > 0
        and model[b"tree_info"] == [0] * len(trees)
        and model[b"iteration_indptr"]
        == list(range(0, len(trees) + 1, _whole(size[b"num_parallel_tree"])))
    ):
        raise ValueError("not trees for two classes")
    _check_trees(trees, n_features)


def _check_trees(trees: Sequence[Any], n_features: int) -> None:
    counts = [_nodes_of(tree) for tree in trees]

    def of_all(name: bytes, form: str) -> NDArray[Any]:
        return np.frombuffer(b"".join(tree[name][1] for tree in trees), form)

    parent, below = of_all(b"parents", ">i4"), np.ones(sum(counts), dtype=bool)
    below[np.cumsum(counts) - counts] = False  # a root has none
    if not (
        point_inside(
            np.array(counts),
            of_all(b"left_children", ">i4"),
            of_all(b"right_children", ">i4"),
            of_all(b"split_indices", ">i4"),
            n_features=n_features,
        )
        and np.all(parent[below] >= 0)
        and np.all(parent[below] < np.repeat(counts, counts)[below])
        and not of_all(b"split_type", ">u1").any()
    ):
        raise ValueError("its trees point outside themselves")


def _nodes_of(tree: Any) -> int:
    """How many, after a look at whether there is one of everything for each, and nothing else."""
    param = tree[b"tree_param"]
    nodes = _whole(param[b"num_nodes"])
    if (
        nodes < 1
        or _whole(param[b"size_leaf_vector"]) > 1
        or any(tree[name] for name in _CATEGORIES)
        or any(tree[name][0] != t or len(tree[name][1]) != s * nodes for name, t, s in _NODES)
    ):
        raise ValueError("its trees have more or less than their nodes")
    return nodes


def _whole(text: bytes) -> int:
    """Digits alone, for Python and XGBoost read anything else differently."""
    if not text.isdigit():
        raise ValueError("a count that is no whole number")
    return int(text)
