"""What holds for models of every kind: learning, saving, damage."""

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xgboost as xgb
from safetensors.numpy import load_file
from sklearn.metrics import log_loss, roc_auc_score

from configs.errors import ArtifactDamaged, BadData, BadParameter, NotFound
from models import devices, kind, training
from models.adam import Adam
from models.weights import of_classes
from tests.protocols import lacking

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

DRAWS = {"ML-XGB": {"subsample": 0.5}, "ML-RF": {}, "DL-DNN": {}, "DL-TABNET": {}}
"""Kinds that draw at random, with the parameters that they need for it. Others ignore the seed."""

assert set(QUICK) == set(KINDS), "QUICK names each kind, with parameters that fit in a second"


LACKING = "\n".join(
    [
        lacking(kind.Kind, {f"{name}: models/kinds": kind.find(name) for name in KINDS}),
        lacking(kind.Estimators, {f"{n}: models/estimators": kind.estimators(n) for n in KINDS}),
    ]
).strip()
assert not LACKING, LACKING


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


def _forest_by_hand(path, X):
    file = np.load(path)
    total = np.zeros(len(X))
    for last, count in zip(np.cumsum(file["node_count"]), file["node_count"], strict=True):
        names = ("left_child", "right_child", "feature", "threshold", "positive")
        left, right, feature, threshold, positive = (
            file[name][last - count : last] for name in names
        )
        at = np.zeros(len(X), int)
        while (inner := left[at] != -1).any():
            low = X[np.arange(len(X)), np.maximum(feature[at], 0)] <= threshold[at]
            at = np.where(inner, np.where(low, left[at], right[at]), at)
        total += positive[at]
    return total / len(file["node_count"])


def _dense_by_hand(path, X):
    layers = load_file(path)
    X = X / np.sqrt(1 + (X / 3) ** 2)
    hidden = X @ layers["1.weight"].T + layers["1.bias"]
    hidden = (hidden - layers["2.running_mean"]) / np.sqrt(layers["2.running_var"] + 1e-5)
    hidden = np.maximum(hidden * layers["2.weight"] + layers["2.bias"], 0)
    return 1 / (1 + np.exp(-(hidden @ layers["5.weight"].T + layers["5.bias"])[:, 0]))


@pytest.mark.parametrize(
    ("model_id", "by_hand"), [("ML-RF", _forest_by_hand), ("DL-DNN", _dense_by_hand)]
)
def test_a_file_gives_its_scores_to_those_who_read_it_as_the_page_for_reviews_says(
    fitted, tmp_path, model_id, by_hand
):
    path = tmp_path / "model"
    fitted[model_id].save(path)
    X = TEST[0] * np.float32(4)  # beyond where an input of a network is hardly bent

    scores = by_hand(path, X)

    assert np.ptp(scores) > 0.5
    assert np.allclose(scores, kind.scores_of(fitted[model_id], X), rtol=0, atol=1e-5)


def test_there_are_the_kinds_of_the_first_release():
    assert set(KINDS) >= {"DL-DNN", "DL-TABNET", "ML-RF", "ML-XGB"}


@pytest.mark.parametrize("model_id", ["ml-xgb", "ML_XGB", "ML-XGB.py", "../kind", "", "__INIT__"])
def test_an_unknown_model_id_is_told_with_those_there_are(model_id):
    for find in (kind.find, kind.estimators):
        with pytest.raises(NotFound, match=f"there are: {', '.join(KINDS)}"):
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

    fitted[model_id].save(path)
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
def test_another_seed_gives_another_model_only_of_a_kind_that_draws(model_id):
    params = DRAWS.get(model_id, {})

    one, other = (kind.scores_of(_fit(model_id, s, **params), TEST[0]) for s in (1, 2))

    differs = not np.array_equal(one, other)
    assert differs == (model_id in DRAWS), "DRAWS names the kinds whose models depend on the seed"


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
def test_weights_shift_what_a_model_expects(model_id):
    """Also where none of them decides when to stop."""
    ways = (None, of_classes(TRAIN[1], {"0": 1.0, "1": 8.0}))

    before, after = (
        kind.scores_of(_fit(model_id, weight=weight, valid=None), TEST[0]).mean() for weight in ways
    )

    assert after > before + 0.15


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_network_watches_the_weighted_log_loss(model_id):
    y, scores = VALID[1], np.random.default_rng(1).random(len(VALID[1]))
    weight = of_classes(y, {"0": 1.0, "1": 3.0})

    found = _build(model_id, {}).figure(y, scores, weight)

    assert found == pytest.approx(log_loss(y, scores, sample_weight=weight))


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_network_is_the_same_in_any_unit_of_weight(model_id):
    weight = of_classes(TRAIN[1], {"0": 1.0, "1": 3.0})
    one, other = (_fit(model_id, weight=weight * unit, max_epochs=2) for unit in (1.0, 64.0))

    assert np.array_equal(one.scores(TEST[0]), other.scores(TEST[0]))


@pytest.mark.parametrize("virtual", [None, 1, 2, 3, 4, 7])
def test_of_a_batch_the_most_rows_that_leave_no_batch_norm_with_one_are_learned_from(virtual):
    def norms(rows):
        return [len(part) for part in torch.arange(rows).chunk(-(-rows // (virtual or rows)))]

    recipe = training.Recipe(
        batch_size=100, max_epochs=1, patience=None, virtual_batch_size=virtual
    )
    for height in range(1, 23):
        parts = training._batches(torch.arange(height), recipe)
        fitting = [rows for rows in range(1, height + 1) if min(norms(rows)) > 1]
        assert list(map(len, parts)) == fitting[-1:]


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


def test_no_rows_teach_nothing():
    with pytest.raises(BadData, match="the training part has no rows"):
        kind.require_both_classes(TRAIN[1][:0])


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


@pytest.mark.parametrize("params", [{}, {"max_bin": 8}, {"tree_method": "exact"}], ids=str)
def test_boosting_scores_like_a_booster_of_a_plain_matrix(params):
    ours = _fit("ML-XGB", valid=None, **params)
    theirs = xgb.train(ours.native, xgb.DMatrix(*TRAIN), QUICK["ML-XGB"]["n_estimators"])

    assert np.array_equal(ours.scores(TEST[0]), theirs.predict(xgb.DMatrix(TEST[0])))


@pytest.mark.parametrize(
    ("model_id", "metric"),
    [("ML-XGB", "auc"), ("ML-XGB", "aucpr"), ("ML-XGB", "error"), ("DL-TABNET", "auc")],
)
def test_training_watches_the_metric_asked_for(model_id, metric):
    scores = kind.scores_of(_fit(model_id, eval_metric=metric), TEST[0])

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

    estimator.save(tmp_path / "model")
    scores = kind.scores_of(of.load(tmp_path / "model", device="cpu"), TEST[0])

    assert np.array_equal(scores, kind.scores_of(estimator, TEST[0]))
    assert 0 <= scores.min() < scores.max() <= 1


def test_training_that_diverges_says_what_to_change():
    network = torch.nn.Linear(6, 1)
    recipe = training.Recipe(batch_size=100, max_epochs=5, patience=None)

    with pytest.raises(BadParameter, match="diverged in epoch 1; lower the learning rate"):
        training.train(
            network,
            Adam(network.parameters(), lr=0.001),
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


def test_each_description_has_its_name_and_estimators_and_says_alike_whether_they_use_a_card():
    cards = {model_id: kind.estimators(model_id).CARD for model_id in KINDS}

    assert {path.name for path in FOLDERS[0].glob("*.py")} == {
        path.name for path in FOLDERS[1].glob("*.py")
    }
    for model_id, card in cards.items():
        of = kind.find(model_id)
        assert model_id == of.KIND
        assert not lacking(kind.Estimator, {model_id: _build(model_id, {})})
        assert (card is not None) == of.uses_gpu(of.DEFAULTS, 100_000, 200_000)
        assert devices.best(card) == ("cuda" if card and torch.cuda.is_available() else "cpu")


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
    fitted[writer].save(tmp_path / "model")
    if reader == writer:
        kind.estimators(reader).load(tmp_path / "model", device="cpu")
        return

    with pytest.raises(ArtifactDamaged, match=reader):
        kind.estimators(reader).load(tmp_path / "model", device="cpu")


@pytest.mark.parametrize("model_id", KINDS)
def test_half_a_file_is_damaged(fitted, model_id, tmp_path):
    path = tmp_path / "model"
    fitted[model_id].save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ArtifactDamaged):
        kind.estimators(model_id).load(path, device="cpu")


def test_a_dense_network_has_the_chance_that_its_seed_gave_in_the_first_release():
    assert _build("DL-DNN", {}, seed=42).seed == 1608637542


@pytest.mark.parametrize("model_id", KINDS)
def test_fitting_loading_and_scoring_print_nothing(model_id, tmp_path, capfd):
    estimator = _fit(model_id)
    estimator.save(tmp_path / "model")
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
