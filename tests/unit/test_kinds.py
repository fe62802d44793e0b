import dataclasses
import inspect
import itertools
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from xgboost import XGBClassifier
from xgboost.core import XGBoostError

from configs.errors import ArtifactDamaged, BadData, BadParameter, CardFull, NotFound
from models import demand, devices, kind, training
from models.hyperparameters import Real
from models.variants import expand
from models.weights import of_classes

with warnings.catch_warnings():  # the part of pytorch-tabnet that we do not use is outdated
    warnings.simplefilter("ignore", DeprecationWarning)
    from pytorch_tabnet.tab_model import TabNetClassifier

KINDS = kind.available()
FOLDERS = [Path(inspect.getfile(kind)).with_name(name) for name in ("kinds", "estimators")]
QUICK = {
    "ML-XGB": {"n_estimators": 60},
    "ML-RF": {"n_estimators": 20},
    "DL-DNN": {"hidden_units": 16, "max_epochs": 15, "lr": 0.01, "batch_size": 64},
    "DL-TABNET": {
        "n_steps": 1,
        "n_independent": 1,
        "n_shared": 1,
        "max_epochs": 10,
        "batch_size": 64,
        "virtual_batch_size": 32,
    },
}


def _applicants(rows, seed):
    """One wave of six features: two that tell, one of them bent, and four that do not."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 6)).astype(np.float32)
    chance = 1 / (1 + np.exp(1 - 2 * X[:, 0] - np.abs(X[:, 1])))
    y = (random.random(rows) < chance).astype(np.int8)
    for array in (X, y):
        array.setflags(write=False)  # as the memory-mapped matrix
    return X, y


TRAIN, VALID, TEST = _applicants(400, 1), _applicants(150, 2), _applicants(1100, 3)


def _fit(model_id, seed=42, weight=None, valid=VALID, **params):
    estimator = _build(model_id, QUICK[model_id] | params, seed=seed)
    return estimator.fit(*TRAIN, sample_weight=weight, eval_set=valid)


def _build(model_id, params, seed=42):
    complete = kind.find(model_id).check(params)
    return kind.estimators(model_id).build(complete, seed=seed, device="cpu")


@pytest.fixture(scope="module")
def fitted():
    """One of each kind, for tests that change nothing."""
    return {model_id: _fit(model_id) for model_id in KINDS}


def test_there_are_the_four_kinds():
    assert KINDS == ("DL-DNN", "DL-TABNET", "ML-RF", "ML-XGB")


@pytest.mark.parametrize("model_id", ["ml-xgb", "ML_XGB", "ML-XGB.py", "../kind", "", "__INIT__"])
def test_an_unknown_model_id_is_told_with_those_there_are(model_id):
    for find in (kind.find, kind.estimators):
        with pytest.raises(NotFound, match="there are: DL-DNN, DL-TABNET, ML-RF, ML-XGB"):
            find(model_id)


@pytest.mark.parametrize("model_id", KINDS)
def test_it_learns(fitted, model_id):
    scores = kind.scores_of(fitted[model_id], TEST[0])

    assert scores.dtype == np.float32
    assert scores.shape == (len(TEST[1]),)
    assert roc_auc_score(TEST[1], scores) > 0.75


@pytest.mark.parametrize("model_id", KINDS)
def test_a_saved_model_gives_the_same_scores_to_the_last_bit(fitted, model_id, tmp_path):
    of = kind.estimators(model_id)
    path = tmp_path / "no-extension"

    of.save(fitted[model_id], path)
    loaded = of.load(path, device="cpu")

    assert [file.name for file in tmp_path.iterdir()] == ["no-extension"]
    assert np.array_equal(
        kind.scores_of(loaded, TEST[0]), kind.scores_of(fitted[model_id], TEST[0])
    )


@pytest.mark.parametrize("model_id", KINDS)
def test_a_score_does_not_depend_on_the_rows_beside_it(fitted, model_id):
    X = TEST[0]
    some = np.random.default_rng(1).permutation(len(X))[:77]

    together = kind.scores_of(fitted[model_id], X)

    assert np.array_equal(kind.scores_of(fitted[model_id], X[some]), together[some])
    assert np.array_equal(kind.scores_of(fitted[model_id], X[:1]), together[:1])
    assert kind.scores_of(fitted[model_id], X[:0]).shape == (0,)


@pytest.mark.parametrize("model_id", KINDS)
def test_another_seed_gives_another_model(fitted, model_id):
    params = {"subsample": 0.5} if model_id == "ML-XGB" else {}

    one, other = (kind.scores_of(_fit(model_id, s, **params), TEST[0]) for s in (1, 2))

    assert not np.array_equal(one, other)


FIT_ALL = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from models import kind
data = np.load(sys.argv[2])
for model_id, params in json.loads(sys.argv[3]):
    complete = kind.find(model_id).check(params)
    estimator = kind.estimators(model_id).build(complete, seed=42, device="cpu")
    estimator.fit(data["X"], data["y"], eval_set=(data["Xv"], data["yv"]))
    np.save(f"{sys.argv[2]}.{model_id}.npy", kind.scores_of(estimator, data["Xt"]))
"""


def test_a_fresh_process_of_more_threads_gives_the_same_scores_in_another_order(fitted, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, X=TRAIN[0], y=TRAIN[1], Xv=VALID[0], yv=VALID[1], Xt=TEST[0])
    root = Path(inspect.getfile(kind)).parents[1]
    order = json.dumps([(model_id, QUICK[model_id]) for model_id in reversed(KINDS)])

    subprocess.run(
        [sys.executable, "-c", FIT_ALL, root, data, order],
        env={"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "3"},
        check=True,
        timeout=240,
    )

    for model_id in KINDS:
        there = np.load(f"{data}.{model_id}.npy", allow_pickle=False)
        assert np.array_equal(there, kind.scores_of(fitted[model_id], TEST[0])), model_id


@pytest.mark.parametrize("model_id", KINDS)
def test_weights_shift_what_a_model_expects(fitted, model_id):
    heavier = _fit(model_id, weight=of_classes(TRAIN[1], {"0": 1.0, "1": 8.0}))

    before, after = (kind.scores_of(m, TEST[0]).mean() for m in (fitted[model_id], heavier))

    assert after > before + 0.02


@pytest.mark.parametrize("unit", [2.0**-6, 1.0, 2.0**6])
def test_the_share_of_rows_that_a_tree_draws_is_the_same_in_any_unit_of_weight(unit):
    weight = of_classes(TRAIN[1], {"0": unit, "1": 8 * unit})
    forest = _fit("ML-RF", weight=weight, max_samples=0.25)

    assert [tree.weighted_n_node_samples[0] for tree in forest.trees] == [100] * len(forest.trees)
    ones = [tree.value[0, 0, 1] for tree in forest.trees]
    assert np.mean(ones) > TRAIN[1].mean() + 0.2  # by their weight, which is not counted twice


@pytest.mark.parametrize("model_id", KINDS)
@pytest.mark.parametrize("only", [0, 1])
def test_one_class_teaches_nothing(model_id, only):
    estimator = _build(model_id, QUICK[model_id])

    with pytest.raises(BadData, match=f"only rows of class {only}"):
        estimator.fit(TRAIN[0], np.full(len(TRAIN[1]), only, dtype=np.int8))


@pytest.mark.parametrize("model_id", KINDS)
def test_valid_rows_of_one_class_or_none_stop_nothing(model_id):
    X, y = VALID

    to_the_end = kind.scores_of(_fit(model_id, valid=None), TEST[0])
    one_class = kind.scores_of(_fit(model_id, valid=(X[y == 0], y[y == 0])), TEST[0])

    assert np.array_equal(one_class, to_the_end)


@pytest.mark.parametrize("model_id", ["ML-XGB", "DL-DNN", "DL-TABNET"])
def test_training_stops_when_valid_gets_no_better(model_id):
    rounds = "early_stopping_rounds" if model_id == "ML-XGB" else "patience"
    length = {"n_estimators": 300} if model_id == "ML-XGB" else {"max_epochs": 20}
    X, y = VALID
    wrong = (X, (1 - y).astype(np.int8))  # what is learned can only make it worse

    stopped = kind.scores_of(_fit(model_id, valid=wrong, **length, **{rounds: 2}), TEST[0])
    at_length = kind.scores_of(_fit(model_id, valid=None, **length), TEST[0])

    assert stopped.std() < at_length.std() / 2


def test_boosting_told_to_mind_the_ones_goes_on_as_if_they_weighed_more():
    chosen = {"n_estimators": 300, "early_stopping_rounds": 10, "learning_rate": 0.05}
    scaled = _fit("ML-XGB", **chosen, scale_pos_weight=8)
    weighed = _fit("ML-XGB", **chosen, weight=of_classes(TRAIN[1], {"0": 1.0, "1": 8.0}))

    trees = [model.booster_.num_boosted_rounds() for model in (scaled, weighed)]

    assert min(trees) > 10
    assert abs(trees[0] - trees[1]) < 10
    aucs = [roc_auc_score(TEST[1], kind.scores_of(m, TEST[0])) for m in (scaled, weighed)]
    assert aucs[0] == pytest.approx(aucs[1], abs=0.02)


@pytest.mark.parametrize("metric", ["auc", "aucpr", "error"])
def test_boosting_watches_the_metric_asked_for(metric):
    assert roc_auc_score(TEST[1], kind.scores_of(_fit("ML-XGB", eval_metric=metric), TEST[0])) > 0.7


def test_tabnet_watches_the_metric_asked_for():
    scores = kind.scores_of(_fit("DL-TABNET", eval_metric="auc"), TEST[0])

    assert roc_auc_score(TEST[1], scores) > 0.7


@pytest.mark.parametrize(
    ("model_id", "params"),
    [
        ("DL-DNN", {"batch_size": 399}),  # 400 rows: the last batch is a single one
        ("DL-DNN", {"batch_size": 3}),
        ("DL-DNN", {"dropout": 0.5, "hidden_units": [8, 4], "weight_decay": 0.01}),
        ("DL-TABNET", {"batch_size": 399, "drop_last": False}),
        ("DL-TABNET", {"batch_size": 33, "virtual_batch_size": 2}),
        ("DL-TABNET", {"batch_size": 5000}),  # more than there are: still one batch
        ("DL-TABNET", {"mask_type": "entmax", "n_shared": 0, "clip_value": 0}),
        ("DL-TABNET", {"n_independent": 0, "optimizer_params": {"weight_decay": 0.1}}),
        ("ML-XGB", {"tree_method": "exact", "n_estimators": 5}),
        ("ML-RF", {"max_samples": 0.5, "max_features": 1, "min_samples_leaf": 0.01}),
        ("ML-RF", {"max_features": None, "criterion": "entropy", "bootstrap": False}),
    ],
)
def test_odd_settings_train_and_survive_saving(model_id, params, tmp_path):
    epochs = {"max_epochs": 1} if model_id.startswith("DL") else {}
    estimator = _fit(model_id, **(epochs | params))
    of = kind.estimators(model_id)

    of.save(estimator, tmp_path / "model")
    scores = kind.scores_of(of.load(tmp_path / "model", device="cpu"), TEST[0])

    assert np.array_equal(scores, kind.scores_of(estimator, TEST[0]))
    assert 0 <= scores.min() < scores.max() <= 1


def test_training_that_diverges_says_what_to_change():
    network = torch.nn.Linear(6, 1)
    recipe = training.Recipe(batch_size=100, max_epochs=5, patience=None)

    with pytest.raises(BadParameter, match="diverged in epoch 1; lower the learning rate"):
        training.train(
            network,
            torch.optim.Adam(network.parameters()),
            training.table(*TRAIN, np.ones(len(TRAIN[1])), "cpu"),
            recipe,
            loss=lambda rows: network(rows.X).mean() * math.inf,
            watch=None,
            chance=torch.Generator(),
        )


def test_far_outliers_do_not_spoil_the_dense_network():
    outliers = [
        np.where(np.arange(len(X)) % 50 == 0, 1e12, 0)[:, None] for X in (TRAIN[0], TEST[0])
    ]
    X, X_test = (
        np.hstack([X, far]).astype(np.float32)
        for X, far in zip((TRAIN[0], TEST[0]), outliers, strict=True)
    )

    estimator = _build("DL-DNN", QUICK["DL-DNN"]).fit(X, TRAIN[1])

    assert roc_auc_score(TEST[1], kind.scores_of(estimator, X_test)) > 0.75


def test_scores_that_are_no_numbers_are_an_error():
    class Broken:
        def scores(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(BadData, match="3 of 3 rows"):
        kind.scores_of(Broken(), TEST[0][:3])


def test_each_description_has_its_estimators_and_says_alike_whether_they_use_a_card():
    cards = {model_id: kind.estimators(model_id).CARD for model_id in KINDS}

    assert {path.name for path in FOLDERS[0].glob("*.py")} == {
        path.name for path in FOLDERS[1].glob("*.py")
    }
    for model_id, card in cards.items():
        of = kind.find(model_id)
        assert (card is not None) == of.uses_gpu(of.DEFAULTS, 100_000, 200_000)
        assert devices.best(card) == ("cuda" if card and torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("method", ["auto", "hist", "approx", "exact"])
def test_boosting_that_no_card_can_grow_asks_for_none(method):
    (variant,) = expand(json.dumps({"tree_method": method}), "ML-XGB", model_no=1)

    found = demand.of_fit("ML-XGB", variant, rows=100_000, all_rows=200_000, columns=5)

    assert (found.gpu > 0) == (method != "exact")


@pytest.mark.parametrize(
    ("model_id", "params", "rows", "columns", "pays"),
    [
        ("ML-XGB", {}, 4_000, 20, False),
        ("ML-XGB", {}, 16_000, 30, True),
        ("DL-DNN", {"hidden_units": [64], "batch_size": 256}, 80_000, 200, False),
        ("DL-DNN", {"hidden_units": [256, 128], "batch_size": 1024}, 16_000, 30, True),
        ("DL-DNN", {"hidden_units": [256, 128], "batch_size": 1024}, 500, 30, False),
        ("DL-TABNET", {"n_steps": 2, "virtual_batch_size": 256}, 16_000, 30, False),
        ("DL-TABNET", {"n_steps": 2, "virtual_batch_size": 256}, 80_000, 200, True),
        # Not measured: more kernels than the above, at the same batch.
        ("DL-DNN", {"hidden_units": [25] * 16, "batch_size": 1024}, 80_000, 30, False),
        ("DL-TABNET", {}, 80_000, 200, False),
        ("DL-TABNET", {"batch_size": 16_384}, 80_000, 30, False),
        ("DL-TABNET", {"n_independent": 0, "n_shared": 1}, 1, 1, False),
        # What the descriptions say.
        ("DL-DNN", {"batch_size": 1024, "hidden_units": [200, 100]}, 80_000, 103, True),
        ("DL-DNN", {"batch_size": 1024, "hidden_units": [200, 100]}, 80_000, 102, False),
        ("DL-TABNET", {}, 80_000, 269, True),
        ("DL-TABNET", {}, 80_000, 268, False),
        ("DL-TABNET", {"virtual_batch_size": 1024}, 80_000, 67, True),
        ("DL-TABNET", {"virtual_batch_size": 1024}, 80_000, 66, False),
    ],
)
def test_a_card_is_asked_for_where_it_pays(model_id, params, rows, columns, pays):
    """As measured by benchmarks/cards.py."""
    (variant,) = expand(json.dumps(params), model_id, model_no=1)

    found = demand.of_fit(model_id, variant, rows=rows, all_rows=rows, columns=columns)

    assert (found.gpu > 0) == pays


def test_rows_that_resampling_adds_count_for_whether_a_card_pays():
    (plain,) = expand("{}", "ML-XGB", model_no=1)
    (grown,) = expand('{"resampling": "smote"}', "ML-XGB", model_no=1)

    of_plain, of_grown = (
        demand.of_fit("ML-XGB", each, rows=9_000, all_rows=9_000, columns=20)
        for each in (plain, grown)
    )

    assert (of_plain.gpu > 0, of_grown.gpu > 0) == (False, True)


@pytest.mark.parametrize(("device", "card"), [("cuda", True), ("cpu", False), (None, False)])
def test_a_model_is_scored_on_what_it_was_fitted_on(device, card):
    found = demand.of_scoring(device=device, matrix_bytes=2**20, model_bytes=2**20)

    assert (found.gpu > 0) == card
    assert found.memory_mb > 12


def test_every_library_knows_the_error_of_its_own_full_card():
    of_torch = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    of_xgboost = XGBoostError("cudaErrorMemoryAllocation: out of memory")
    told = {
        model_id: [kind.estimators(model_id).CARD.is_full(e) for e in (of_torch, of_xgboost)]
        for model_id in KINDS
        if kind.estimators(model_id).CARD
    }

    assert told == {
        "DL-DNN": [True, False],
        "DL-TABNET": [True, False],
        "ML-XGB": [False, True],
    }
    card = kind.estimators("DL-DNN").CARD
    with pytest.raises(CardFull, match="Tried to allocate"), devices.minding_memory(card):
        raise of_torch
    with pytest.raises(torch.OutOfMemoryError), devices.minding_memory(None):
        raise of_torch


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), False),
        (ValueError("CUDA error: out of memory"), False),
        (MemoryError("out of memory"), False),
    ],
    ids=str,
)
def test_a_card_is_also_full_when_a_library_of_cuda_finds_it_so(error, full):
    assert kind.estimators("DL-DNN").CARD.is_full(error) == full


LIBRARY_NAMES = {
    "ML-XGB": set(XGBClassifier().get_params()),
    "ML-RF": set(RandomForestClassifier().get_params()),
    "DL-DNN": {"hidden_units", "dropout"}
    | set(inspect.signature(torch.optim.Adam).parameters)
    | {field.name for field in dataclasses.fields(training.Recipe)},
    "DL-TABNET": {field.name for field in dataclasses.fields(TabNetClassifier)}
    | set(inspect.signature(TabNetClassifier.fit).parameters),
}


@pytest.mark.parametrize("model_id", KINDS)
def test_parameters_have_the_names_of_the_library(model_id):
    of = kind.find(model_id)

    assert set(of.PARAMETERS) <= LIBRARY_NAMES[model_id]
    assert set(of.DEFAULTS) <= set(of.PARAMETERS)
    assert of.check({}) == of.check(of.DEFAULTS) == dict(of.DEFAULTS)


def test_the_memory_of_boosting_grows_with_bins_and_depth_as_was_measured():
    of = kind.find("ML-XGB")
    measured = {(256, 6): 33, (4096, 6): 248, (65_536, 6): 1087, (256, 10): 128, (256, 20): 539}

    for (bins, depth), mb in measured.items():
        told = of.memory(of.check({"max_bin": bins, "max_depth": depth}), 20_000, 50) / 2**20
        assert 0.7 * mb < told < 2 * mb, (bins, depth, told)


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


@pytest.mark.parametrize("model_id", KINDS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"{L}",
        b"PK\x03\x04 no archive",
        b"\x08" + bytes(200),
        bytes(range(256)) * 9,
    ],
    ids=["empty", "brace", "object", "cut off", "zip", "zeros", "noise"],
)
def test_a_file_of_garbage_is_damaged(model_id, content, tmp_path):
    (tmp_path / "model").write_bytes(content)

    with pytest.raises(ArtifactDamaged, match="model"):
        kind.estimators(model_id).load(tmp_path / "model", device="cpu")


@pytest.mark.parametrize("reader", KINDS)
@pytest.mark.parametrize("writer", KINDS)
def test_a_file_of_another_kind_is_damaged(fitted, reader, writer, tmp_path):
    kind.estimators(writer).save(fitted[writer], tmp_path / "model")
    if reader == writer:
        kind.estimators(reader).load(tmp_path / "model", device="cpu")
        return

    with pytest.raises(ArtifactDamaged, match=reader):
        kind.estimators(reader).load(tmp_path / "model", device="cpu")


@pytest.mark.parametrize("model_id", KINDS)
def test_half_a_file_is_damaged(fitted, model_id, tmp_path):
    path = tmp_path / "model"
    kind.estimators(model_id).save(fitted[model_id], path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ArtifactDamaged):
        kind.estimators(model_id).load(path, device="cpu")


def test_a_dense_network_has_the_chance_that_its_seed_gave_in_the_first_release():
    assert _build("DL-DNN", {}, seed=42).seed == 1608637542


@pytest.mark.parametrize("model_id", KINDS)
def test_fitting_loading_and_scoring_print_nothing(model_id, tmp_path, capfd):
    estimator = _fit(model_id)
    kind.estimators(model_id).save(estimator, tmp_path / "model")
    kind.scores_of(kind.estimators(model_id).load(tmp_path / "model", device="cpu"), TEST[0])

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_fit_leaves_the_threads_and_the_random_numbers_of_torch_as_they_were(model_id):
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()

    torch.manual_seed(5)
    _fit(model_id, max_epochs=1)

    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
