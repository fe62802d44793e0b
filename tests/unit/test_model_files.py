"""Files that try to do something when they are loaded, and files of versions that were released."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.ensemble import RandomForestClassifier

from configs.errors import ArtifactDamaged
from models import kind
from tests.released import RELEASED, write

X = np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int8)


def fitted(model_id, **params):
    complete = kind.find(model_id).check(params)
    return kind.estimators(model_id).build(complete, seed=1, device="cpu").fit(X, Y)


@pytest.fixture
def forest(tmp_path):
    path = tmp_path / "forest.npz"
    fitted("ML-RF", n_estimators=2).save(path)
    return path


@pytest.fixture
def boosting(tmp_path):
    path = tmp_path / "model.ubj"
    fitted("ML-XGB", n_estimators=3).save(path)
    return path


@pytest.fixture(params=["DL-DNN", "DL-TABNET"])
def network(request, tmp_path):
    """The model_id of a network, and its file."""
    path = tmp_path / "model.safetensors"
    fitted(request.param, max_epochs=1).save(path)
    return request.param, path


def refused(model_id, path, why):
    with pytest.raises(ArtifactDamaged, match=why):
        kind.estimators(model_id).load(path, device="cpu")


def _bend(path, **changed):
    """Change arrays of a forest's file, or add some."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file) | changed
    np.savez_compressed(path, **arrays)


class _Command:
    """What a file would hold to have a command run when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_forest_that_holds_an_object_runs_nothing(forest, tmp_path):
    marker = tmp_path / "was-here"
    array = np.empty(1, dtype=object)
    array[0] = _Command(marker)
    with np.load(forest, allow_pickle=False) as file:
        arrays = dict(file) | {"impurity": array}
    np.savez(forest, allow_pickle=True, **arrays)

    refused("ML-RF", forest, "allow_pickle")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + bytes(18)], ids=str)
def test_what_is_no_forest_is_refused(forest, content):
    forest.write_bytes(content)

    refused("ML-RF", forest, "not a ML-RF model")


@pytest.mark.parametrize("model_id", kind.available())
def test_a_file_that_cannot_be_read_is_not_called_damaged(model_id, tmp_path):
    with pytest.raises(FileNotFoundError):
        kind.estimators(model_id).load(tmp_path / "gone", device="cpu")


@pytest.mark.parametrize(
    ("model_id", "reads", "said"),
    [
        ("ML-RF", (np, "load"), MemoryError("Unable to allocate 8 GiB")),
        ("ML-XGB", (xgb.Booster, "load_model"), xgb.core.XGBoostError("std::bad_alloc")),
    ],
)
def test_a_file_that_finds_no_memory_is_not_called_damaged(
    model_id, reads, said, tmp_path, monkeypatch
):
    fitted(model_id, n_estimators=2).save(tmp_path / "model")

    def full(*_args, **_options):
        raise said

    monkeypatch.setattr(*reads, full)

    with pytest.raises(MemoryError, match=r"model: no memory is left to read it"):
        kind.estimators(model_id).load(tmp_path / "model", device="cpu")


def test_a_forest_that_is_damaged_anywhere_is_refused(forest):
    whole = forest.read_bytes()
    rows = kind.scores_of(kind.estimators("ML-RF").load(forest, device="cpu"), X)

    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        forest.write_bytes(damaged)
        try:
            loaded = kind.estimators("ML-RF").load(forest, device="cpu")
        except ArtifactDamaged:
            continue
        # Some bytes of a zip mean nothing, such as its dates.
        assert np.array_equal(kind.scores_of(loaded, X), rows)


def test_a_forest_that_unpacks_to_much_more_than_it_is_is_refused(forest):
    _bend(forest, impurity=np.zeros(10_000_000))

    refused("ML-RF", forest, "would unpack to 8")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_forest_of_which_one_array_is_packed_so_that_its_size_is_no_bound_is_refused(
    forest, method
):
    """A few kilobytes of bzip2 unpack to gigabytes before anybody sees how many."""
    with zipfile.ZipFile(forest) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(forest, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content, method if name == "impurity.npy" else None)

    refused("ML-RF", forest, "packed otherwise")


def test_trees_that_are_all_alike_are_saved_and_loaded(tmp_path):
    """They unpack to a thousand times their file."""
    of = kind.estimators("ML-RF")
    one = of.build({"n_estimators": 300, "bootstrap": False}, seed=1, device="cpu")
    one.fit(np.ascontiguousarray(X[:, :1]), Y)
    one.trees *= 30

    one.save(tmp_path / "forest.npz")
    loaded = of.load(tmp_path / "forest.npz", device="cpu")

    assert len(loaded.trees) == 9000


def test_a_forest_s_file_holds_all_that_its_trees_know(forest):
    grown = fitted("ML-RF", n_estimators=2)
    loaded = kind.estimators("ML-RF").load(forest, device="cpu")

    for tree, other in zip(grown.trees, loaded.trees, strict=True):
        state, found = tree.__getstate__(), other.__getstate__()
        assert found["max_depth"] == state["max_depth"]
        assert np.array_equal(found["nodes"], state["nodes"])
        assert np.array_equal(found["values"][:, :, 1], state["values"][:, :, 1])


def test_a_forest_scores_like_scikit_learn_s(forest):
    theirs = RandomForestClassifier(n_estimators=2, random_state=1).fit(X, Y)

    scores = kind.estimators("ML-RF").load(forest, device="cpu").scores(X)

    assert np.array_equal(scores, theirs.predict_proba(X)[:, 1])


def test_a_forest_refuses_rows_of_another_width(forest):
    with pytest.raises(ValueError, match="3 columns; the forest knows 4"):
        kind.estimators("ML-RF").load(forest, device="cpu").scores(X[:, :3])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("version", np.int32(2), "not of version 1"),
        ("version", np.ones(2, "i4"), "not of version 1"),
        ("version", np.int64(1), "other types"),
        ("n_features", np.int32(0), "point outside"),
        ("n_features", np.int32(2_000_000), "point outside"),
        ("n_features", np.ones(2, "i4"), "not of version 1"),
        ("node_count", np.zeros(0, "i4"), "more or less"),
        ("node_count", np.array([-1, 1], "i4"), "more or less"),
        ("node_count", np.array([1], "i4"), "more or less"),
        ("max_depth", np.ones(1, "i4"), "more or less"),
        ("impurity", np.ones(1), "more or less"),
        ("threshold", np.ones(1, "f4"), "other types"),
        ("another", np.ones(1), "other arrays"),
    ],
    ids=str,
)
def test_a_forest_of_another_shape_is_refused(forest, name, value, why):
    _bend(forest, **{name: value})

    refused("ML-RF", forest, why)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("feature", 10**6, "point outside themselves"),
        ("feature", -5, "point outside themselves"),
        ("left_child", 10**6, "point outside themselves"),
        ("left_child", -2, "point outside themselves"),
        ("right_child", 0, "point outside themselves"),
        ("positive", 1.5, "share of its trees"),
        ("positive", np.nan, "share of its trees"),
    ],
)
def test_a_tree_that_points_outside_itself_or_scores_beyond_one_is_refused(
    forest, name, value, why
):
    with np.load(forest, allow_pickle=False) as file:
        array = file[name]
        second = file["node_count"][0]
    array[second] = value  # the root of the second tree
    _bend(forest, **{name: array})

    refused("ML-RF", forest, why)


def test_a_tree_without_nodes_is_refused(forest):
    with np.load(forest, allow_pickle=False) as file:
        first = int(file["node_count"][0])
        cut = {name: array[:first] for name, array in file.items() if array.ndim}
    _bend(forest, **cut | {"node_count": np.array([first, 0], "i4"), "max_depth": np.ones(2, "i4")})

    refused("ML-RF", forest, "more or less than their nodes")


def test_boosting_of_another_origin_is_refused(tmp_path):
    path = tmp_path / "model.ubj"
    xgb.train({"objective": "binary:logistic"}, xgb.DMatrix(X, Y), 2).save_model(path)

    refused("ML-XGB", path, "of another origin")


@pytest.mark.parametrize(
    ("field", "node", "value"),
    [
        ("left_children", 0, 10**6),
        ("left_children", 0, -5),
        ("right_children", 0, 0),
        ("right_children", 0, 10**6),
        ("split_indices", 0, 10**8),
        ("split_indices", 0, -1),
        ("parents", 1, 10**9),
        ("parents", 2, -1),
    ],
)
def test_boosting_whose_trees_point_outside_themselves_is_refused(boosting, field, node, value):
    content = bytearray(boosting.read_bytes())
    first = content.index(f"{field}[$l#L".encode()) + len(field) + 5 + 8
    content[first + 4 * node : first + 4 * node + 4] = value.to_bytes(4, signed=True)
    boosting.write_bytes(content)

    refused("ML-XGB", boosting, "point outside themselves")


def test_boosting_that_splits_by_categories_is_refused(boosting):
    content = bytearray(boosting.read_bytes())
    content[content.index(b"split_type[$U#L") + len(b"split_type[$U#L") + 8] = 1
    boosting.write_bytes(content)

    refused("ML-XGB", boosting, "point outside themselves")


def _text(text):
    return b"SL" + len(text).to_bytes(8) + text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"num_feature" + _text(b"4"), b"num_feature" + _text(b"9" * 9)),
        (b"num_target" + _text(b"1"), b"num_target" + _text(b"2")),
        (b"num_class" + _text(b"0"), b"num_class" + _text(b"5")),
        (b"num_parallel_tree" + _text(b"1"), b"num_parallel_tree" + _text(b"0")),
        (b"num_trees" + _text(b"3"), b"num_trees" + _text(b"4")),
        (b"num_trees" + _text(b"3"), b"num_trees" + _text(b"3_")),
        (b"size_leaf_vector" + _text(b"1"), b"size_leaf_vector" + _text(b"3")),
        (b"num_nodes", b"num_n0des"),
        (b"[5E-1]", b"[5E+1]"),
        (b"ML-XGB", b"ML-\xdeGB"),
        (b"tree_info[#L" + (3).to_bytes(8) + b"i\0", b"tree_info[#L" + (3).to_bytes(8) + b"i\x63"),
        (b"i\0i\1i\2i\3", b"i\0i\1i\x63i\3"),
        (_text(b"gbtree"), _text(b"gblinear")),
        (_text(b"binary:logistic"), _text(b"multi:softmax")),
        (b"default_left[$U", b"default_left[$l"),
        (b"parents[$l", b"parents[$d"),
        (b"loss_changes", b"base_weights"),
    ],
    ids=lambda new: new.decode(errors="replace").replace("\0", "")[:40],
)
def test_boosting_of_another_build_than_ours_is_refused(boosting, old, new):
    content = boosting.read_bytes()
    assert old in content
    boosting.write_bytes(content.replace(old, new))

    refused("ML-XGB", boosting, "not a ML-XGB model")


@pytest.mark.parametrize(
    "params",
    [
        {"gamma": 5.0, "max_depth": 8},
        {"tree_method": "exact", "gamma": 5.0},
        {"tree_method": "approx", "grow_policy": "lossguide", "max_leaves": 9},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"base_score": 0.3, "min_child_weight": 1000},
        {"n_estimators": 200, "learning_rate": 0.5},
        {"base_score": 1e-6},
        {"base_score": 1 - 1e-6},
    ],
    ids=str,
)
def test_all_that_boosting_grows_is_found_sound(params, tmp_path):
    of = kind.estimators("ML-XGB")
    complete = kind.find("ML-XGB").check({"n_estimators": 4} | params)
    estimator = of.build(complete, seed=1, device="cpu").fit(X, Y, eval_set=(X, Y))

    estimator.save(tmp_path / "model")
    loaded = of.load(tmp_path / "model", device="cpu")

    assert np.array_equal(kind.scores_of(loaded, X), kind.scores_of(estimator, X))


@pytest.mark.parametrize(
    "description",
    [
        "not JSON",
        "[]",
        "{}",
        '{"n_features": 0}',
        '{"n_features": 99}',
        '{"n_features": 4, "hidden_units": [7]}',
        '{"n_features": 4, "n_d": 9}',
        '{"n_features": 4, "lr": 1}',
        '{"n_features": 4, "hidden_units": [65536, 65536, 65536]}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:30],
)
def test_a_network_of_another_description_is_refused(network, description):
    model_id, path = network
    metadata = {"kind": model_id, "version": "1", "network": description}
    save_file(load_file(path), path, metadata=metadata)

    refused(model_id, path, "model")


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_network_saved_again_is_the_same_file(model_id, tmp_path):
    estimator = fitted(model_id, max_epochs=1)
    files = [tmp_path / str(number) for number in range(12)]
    for file in files:
        estimator.save(file)

    assert len({file.read_bytes() for file in files}) == 1
    loaded = kind.estimators(model_id).load(files[0], device="cpu")
    np.testing.assert_array_equal(loaded.scores(X), estimator.scores(X))


def test_weights_of_another_type_are_refused(network):
    model_id, path = network
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    wider = {name: weights.double() for name, weights in load_file(path).items()}
    save_file(wider, path, metadata=metadata)

    refused(model_id, path, "other weights than its description")


def _describe(path, **changes):
    """Change the description in a network's file, and leave its weights."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    metadata["network"] = json.dumps(json.loads(metadata["network"]) | changes)
    save_file(load_file(path), path, metadata=metadata)


def test_a_file_that_claims_a_million_features_takes_no_memory_for_them(network):
    model_id, path = network
    _describe(path, n_features=1_000_000)

    # A matrix of as many rows and columns would not fit into any machine.
    refused(model_id, path, "other weights than its description")


def test_a_file_that_claims_thousands_of_layers_takes_no_time_for_them(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    fitted("DL-TABNET", max_epochs=1).save(path)
    _describe(path, n_steps=100, n_independent=100, n_shared=100)
    of = kind.estimators("DL-TABNET")
    monkeypatch.setattr(of.AttentiveNetwork, "make", lambda *_: pytest.fail("it was built"))

    refused("DL-TABNET", path, "20000 layers")


def test_a_network_of_a_later_format_is_told_from_a_damaged_one(network):
    model_id, path = network
    save_file(load_file(path), path, metadata={"kind": model_id, "version": "2", "network": "{}"})

    refused(model_id, path, "of version 1")


@pytest.mark.parametrize(
    "file", sorted(RELEASED.glob("*/*.model")), ids=lambda f: f"{f.parent.name}-{f.stem}"
)
def test_a_model_of_a_released_format_still_loads_and_scores_the_same(file, tmp_path):
    """Each was written by `save` of the version that names its folder; none is ever redone."""
    scores_the_same(file, tmp_path)


def scores_the_same(file, tmp_path):
    rows = np.load(file.parent / "rows.npy", allow_pickle=False)
    expected = np.load(file.with_suffix(".npy"), allow_pickle=False)
    copy = shutil.copy(file, tmp_path)

    scores = kind.scores_of(kind.estimators(file.stem).load(Path(copy), device="cpu"), rows)

    assert scores == pytest.approx(expected, abs=1e-6)


def test_every_kind_has_a_released_model():
    there = {file.stem for file in RELEASED.glob("*/*.model")}

    for model_id in set(kind.available()) - there:
        pytest.fail(f"{model_id} has no file there; write it: python -m tests.released {model_id}")
    assert there <= set(kind.available())


def test_the_file_of_a_new_kind_is_written_once_beside_the_rows_that_are_there(tmp_path):
    folder = tmp_path / "0.2.0"
    one = write("ML-RF", {"n_estimators": 2}, folder)
    rows = (folder / "rows.npy").read_bytes()
    other = write("DL-DNN", {"max_epochs": 1}, folder)

    for file in (one, other):
        scores_the_same(file, tmp_path)
    assert (folder / "rows.npy").read_bytes() == rows
    assert {path.name for path in folder.iterdir()} == {
        "rows.npy",
        *(f"{name}.{end}" for name in ("ML-RF", "DL-DNN") for end in ("model", "npy")),
    }
    with pytest.raises(FileExistsError, match="never redone"):
        write("ML-RF", {}, folder)
