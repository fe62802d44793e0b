"""ML-XGB: gradient boosting (xgboost), saved as UBJSON.

Training stops after `early_stopping_rounds` trees without a better `eval_metric` on `valid`
(null: never); the trees after the best one are not kept. Where there is a card, it fits data of
250,000 values or more, by any `tree_method` but "exact".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from configs.errors import BadParameter
from models.hyperparameters import Either, Null, Real, Spec, Whole, Word, resolve

KIND = "ML-XGB"
FORMAT = "ubj"

_PAYING = 250_000  # values; with fewer, a card is about twice as fast as a core
BINS = 256  # of XGBoost's own, where max_bin is not given
_FLOAT = np.finfo(np.float32)
_SHARE = Real(0, 1, above=True)
PARAMETERS: dict[str, Spec] = {
    "n_estimators": Whole(1, 100_000),
    "learning_rate": Real(0, above=True),
    "max_depth": Whole(0, 1000),
    "max_leaves": Whole(0),
    "max_bin": Whole(2, 65_536),
    "grow_policy": Word("depthwise", "lossguide"),
    "booster": Word("gbtree"),  # dart, without rates of dropping, is the same bit for bit
    "tree_method": Word("auto", "hist", "approx", "exact"),
    "gamma": Real(0),
    "min_child_weight": Real(0),
    "max_delta_step": Real(0),
    "subsample": _SHARE,
    "sampling_method": Word("uniform", "gradient_based"),
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "reg_alpha": Real(0),
    "reg_lambda": Real(0),
    "scale_pos_weight": Real(0, above=True),
    "base_score": Real(1e-6, 1 - 1e-6),  # nearer to the ends it is saved as 0 or 1, or clipped
    "num_parallel_tree": Whole(1, 10_000),
    "eval_metric": Word("logloss", "auc", "aucpr", "error"),
    "early_stopping_rounds": Either(Whole(1), Null()),
}
DEFAULTS: dict[str, Any] = {
    "n_estimators": 400,
    "learning_rate": 0.1,
    "max_depth": 3,
    "eval_metric": "logloss",
    "early_stopping_rounds": 50,
}


def check(params: Mapping[str, Any]) -> dict[str, Any]:
    resolved = resolve(KIND, PARAMETERS, DEFAULTS, params)
    for name, value in resolved.items():
        if isinstance(value, float) and value and not _fits(value):
            raise BadParameter(
                f"{KIND}: {name} = {value:g} is beyond what XGBoost takes: a float32"
            )
    if resolved.get("tree_method") == "exact":
        _check_exact(resolved)
    return resolved


def _fits(value: float) -> bool:
    return float(_FLOAT.tiny) < value <= float(_FLOAT.max)


def _check_exact(params: Mapping[str, Any]) -> None:
    """What this tree_method alone does not have; a test lets XGBoost confirm it."""
    if params.get("colsample_bynode", 1) < 1:
        raise BadParameter(f'{KIND}: colsample_bynode does not go with tree_method = "exact"')
    if params["max_depth"] == 0:
        raise BadParameter(f'{KIND}: tree_method = "exact" needs a max_depth of at least 1')
    if params.get("subsample", 1) < 1 and params.get("sampling_method") == "gradient_based":
        raise BadParameter(
            f'{KIND}: sampling_method = "gradient_based" does not go with tree_method = "exact"'
        )


def uses_gpu(params: Mapping[str, Any], rows: int, columns: int) -> bool:
    if params.get("tree_method") == "exact":  # which XGBoost has for the CPU alone
        return False
    return rows * columns >= _PAYING


def memory(params: Mapping[str, Any], rows: int, columns: int) -> int:
    """As measured: values are sorted into bins, and kept by row and by column. Each node of the
    last level has a histogram; a tree has at most about one such node for every eight rows.
    """
    bins = min(params.get("max_bin", BINS), rows)
    nodes: int = min(1 << min(params["max_depth"] or 40, 40), rows // 8 + 1)
    if leaves := params.get("max_leaves"):
        nodes = min(nodes, leaves)
    return int(12 * rows * columns + 16 * bins * columns * nodes)
