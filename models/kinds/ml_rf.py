"""ML-RF: random forest (scikit-learn).

A share as `max_samples` is one of the rows, whatever they weigh.
"""

from collections.abc import Mapping
from typing import Any

from configs.errors import BadParameter
from models.hyperparameters import Either, Flag, Null, Real, Share, Spec, Whole, Word, resolve

KIND = "ML-RF"
FORMAT = "npz"

PARAMETERS: dict[str, Spec] = {
    "n_estimators": Whole(1, 100_000),
    "criterion": Word("gini", "entropy", "log_loss"),
    "max_depth": Either(Whole(1), Null()),
    "min_samples_split": Either(Share(), Whole(2)),
    "min_samples_leaf": Either(Share(one=False), Whole(1)),
    "min_weight_fraction_leaf": Real(0, 0.5),
    "max_features": Either(Word("sqrt", "log2"), Share(), Whole(1), Null()),
    "max_leaf_nodes": Either(Whole(2), Null()),
    "min_impurity_decrease": Real(0),
    "bootstrap": Flag(),
    "ccp_alpha": Real(0),
    "max_samples": Either(Share(), Whole(1), Null()),
}
DEFAULTS: dict[str, Any] = {"n_estimators": 100}


def check(params: Mapping[str, Any]) -> dict[str, Any]:
    resolved = resolve(KIND, PARAMETERS, DEFAULTS, params)
    if resolved.get("max_samples") is not None and resolved.get("bootstrap") is False:
        raise BadParameter(f"{KIND}: max_samples needs bootstrap = true")
    return resolved


def uses_gpu(params: Mapping[str, Any], rows: int, columns: int) -> bool:  # noqa: ARG001 - never
    return False


def memory(params: Mapping[str, Any], rows: int, columns: int) -> int:  # noqa: ARG001 - rows are not copied
    """About a third as many nodes a tree as rows, of 80 bytes, unless a parameter bounds them."""
    nodes = rows // 3
    if (depth := params.get("max_depth")) is not None:
        nodes = min(nodes, 2 ** min(depth + 1, 40))
    if (leaves := params.get("max_leaf_nodes")) is not None:
        nodes = min(nodes, 2 * leaves)
    return int(80 * nodes * params["n_estimators"]) + 40 * rows
