"""Parameters of kinds: names, defaults, and values refused just where the library refuses them."""

import dataclasses
import inspect
import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier

from configs.errors import BadParameter
from models import kind, training
from models.hyperparameters import Real

with warnings.catch_warnings():  # the part of pytorch-tabnet that we do not use is outdated
    warnings.simplefilter("ignore", DeprecationWarning)
    from pytorch_tabnet.tab_model import TabNetClassifier

KINDS = kind.available()


LIBRARY_NAMES = {
    "ML-XGB": set(XGBClassifier().get_params()),
    "ML-RF": set(RandomForestClassifier().get_params()),
    "DL-DNN": {"hidden_units", "dropout"}
    | set(inspect.signature(torch.optim.Adam).parameters)
    | {field.name for field in dataclasses.fields(training.Recipe)},
    "DL-TABNET": {field.name for field in dataclasses.fields(TabNetClassifier)}
    | set(inspect.signature(TabNetClassifier.fit).parameters),
}

assert set(LIBRARY_NAMES) == set(KINDS), "LIBRARY_NAMES has the names of each kind's library"


@pytest.mark.parametrize("model_id", KINDS)
def test_parameters_have_the_names_of_the_library(model_id):
    of = kind.find(model_id)

    assert set(of.PARAMETERS) <= LIBRARY_NAMES[model_id]
    assert set(of.DEFAULTS) <= set(of.PARAMETERS)
    assert of.check({}) == of.check(of.DEFAULTS) == dict(of.DEFAULTS)


def test_the_seed_the_device_and_the_threads_are_not_the_operators():
    for model_id in KINDS:
        for name in ("random_state", "seed", "device", "device_name", "n_jobs", "threads"):
            assert name not in kind.find(model_id).PARAMETERS


def test_tabnet_has_the_defaults_of_its_library_but_for_when_it_stops():
    ours = kind.find("DL-TABNET").DEFAULTS
    library = {
        name: parameter.default
        for name, parameter in inspect.signature(TabNetClassifier.fit).parameters.items()
    }
    library |= vars(TabNetClassifier(verbose=0))

    different = {
        name
        for name, value in ours.items()
        if name != "optimizer_params" and value != library[name]
    }

    assert different == {"eval_metric", "patience"}
    assert ours["optimizer_params"]["lr"] == library["optimizer_params"]["lr"]


def test_the_defaults_are_those_operators_know():
    xgb, dnn = kind.find("ML-XGB").DEFAULTS, kind.find("DL-DNN").DEFAULTS

    assert (xgb["n_estimators"], xgb["learning_rate"], xgb["max_depth"]) == (400, 0.1, 3)
    assert kind.find("ML-RF").DEFAULTS == {"n_estimators": 100}
    assert dnn["hidden_units"] == (128,)


@pytest.mark.parametrize("model_id", KINDS)
def test_an_unknown_parameter_is_told_with_those_there_are(model_id):
    of = kind.find(model_id)

    with pytest.raises(BadParameter, match=f"'depht' is not known to {model_id}") as refused:
        of.check({"depht": 3})

    assert all(name in str(refused.value) for name in of.PARAMETERS)


@pytest.mark.parametrize(
    ("model_id", "params", "told"),
    [
        ("ML-XGB", {"max_depth": -1}, "max_depth = -1"),
        ("ML-XGB", {"subsample": 1.5}, "subsample = 1.5"),
        ("ML-XGB", {"booster": "gblinear"}, 'it must be "gbtree"'),
        ("ML-XGB", {"booster": "dart"}, 'it must be "gbtree"'),
        (
            "ML-XGB",
            {"tree_method": "exact", "colsample_bynode": 0.5},
            "colsample_bynode does not go",
        ),
        ("ML-XGB", {"tree_method": "exact", "max_depth": 0}, "needs a max_depth of at least 1"),
        ("ML-XGB", {"scale_pos_weight": 1e300}, "scale_pos_weight"),
        ("ML-XGB", {"base_score": 1e-300}, "of at least 1e-06 and at most 0.999999"),
        ("ML-XGB", {"tree_method": "approx", "max_bin": 2**31 - 1}, "from 2 to 65536"),
        ("ML-RF", {"max_features": 0}, "max_features = 0"),
        ("ML-RF", {"max_features": 1.5}, "max_features = 1.5"),
        ("ML-RF", {"min_samples_split": 1}, "min_samples_split = 1"),
        ("ML-RF", {"bootstrap": "yes"}, "true or false"),
        ("ML-RF", {"bootstrap": False, "max_samples": 5}, "max_samples needs bootstrap"),
        ("DL-DNN", {"hidden_units": []}, "hidden_units"),
        ("DL-DNN", {"hidden_units": [0]}, "hidden_units"),
        ("DL-DNN", {"dropout": 1}, "dropout = 1"),
        ("DL-DNN", {"lr": "fast"}, 'lr = "fast"'),
        ("DL-TABNET", {"mask_type": "softmax"}, "sparsemax"),
        ("DL-TABNET", {"optimizer_params": {"lr": 0}}, "optimizer_params"),
        ("DL-TABNET", {"optimizer_params": {"momentum": 1}}, "optimizer_params"),
        ("DL-TABNET", {"n_independent": 0, "n_shared": 0}, "cannot both be 0"),
    ],
)
def test_a_value_the_library_does_not_take_is_refused_before_the_fit(model_id, params, told):
    with pytest.raises(BadParameter, match=told):
        kind.find(model_id).check(params)


def _refused_by_xgboost(params):
    """What XGBoost says to one tree over four rows; None if it grows."""
    X = np.arange(4, dtype=np.float32).reshape(4, 1)
    y = np.array([0, 1, 0, 1], dtype=np.int8)
    complete = dict(kind.find("ML-XGB").DEFAULTS) | params | {"n_estimators": 1}
    try:
        kind.estimators("ML-XGB").build(complete, seed=0, device="cpu").fit(X, y)
    except BadParameter as error:
        return str(error)
    return None


def _refused_by_us(params):
    try:
        kind.find("ML-XGB").check(params)
    except BadParameter as error:
        return str(error)
    return None


XGB_CHOICES = {
    "tree_method": ["auto", "hist", "approx", "exact"],
    "grow_policy": ["depthwise", "lossguide"],
    "sampling_method": ["uniform", "gradient_based"],
    "subsample": [1.0, 0.5],
    "colsample_bynode": [1.0, 0.5],
    "max_depth": [3, 0],
    "max_leaves": [0, 8],
}


def test_combinations_are_refused_exactly_where_xgboost_refuses_them():
    for choice in itertools.product(*XGB_CHOICES.values()):
        params = dict(zip(XGB_CHOICES, choice, strict=True))
        said = _refused_by_xgboost(params), _refused_by_us(params)
        assert bool(said[0]) == bool(said[1]), (params, said)


@pytest.mark.parametrize(
    "name", [n for n, s in kind.find("ML-XGB").PARAMETERS.items() if isinstance(s, Real)]
)
def test_numbers_are_refused_exactly_where_xgboost_refuses_them(name):
    for value in (1e-300, 1e-45, 1e-38, 1e-37, 0.3, 1.0, 1e30, 1e39, 1e300):
        try:
            kind.find("ML-XGB").PARAMETERS[name].read(value)
        except ValueError:  # a share above 1
            continue
        said = _refused_by_xgboost({name: value}), _refused_by_us({name: value})
        assert bool(said[0]) == bool(said[1]), (value, said)
