"""Files that try to do something when they are loaded, and files of versions that were released."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
import xgboost as xgb
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

from configs.errors import ArtifactDamaged
from models import kind

RELEASED = Path(__file__).parent / "released"
X = np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int8)


@pytest.fixture
def forest(tmp_path):
    of = kind.estimators("ML-RF")
    path = tmp_path / "forest.skops"
    of.save(of.build({"n_estimators": 2}, seed=1, device="cpu").fit(X, Y), path)
    return path


def _rewrite(path, change):
    """Change the parsed schema.json of a skops file in place."""
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(content["schema.json"])
    change(schema, content)
    content["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)


def _method_that_runs(command):
    """What a file would hold to have a command run: os.system, through operator.methodcaller."""
    text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
    return {
        "__class__": "methodcaller",
        "__module__": "operator",
        "__loader__": "OperatorFuncNode",
        "__id__": 1,
        "attrs": {
            "__class__": "tuple",
            "__module__": "builtins",
            "__loader__": "TupleNode",
            "content": [
                {**text, "content": json.dumps("system")},
                {**text, "content": json.dumps(command)},
            ],
        },
    }


HOSTILE = {
    "operator": lambda marker: _method_that_runs(f"touch {marker}"),
    "function": lambda _: {
        "__class__": "function",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": {"module_path": "os", "function": "system"},
        "__id__": 2,
    },
    "module to import": lambda _: {
        "__class__": "Trap",
        "__module__": "trap",
        "__loader__": "ObjectNode",
        "content": None,
        "__id__": 3,
    },
    "known type, other way": lambda _: {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "ReduceNode",
        "__id__": 4,
    },
    "type without a name": lambda _: {"__loader__": "FunctionNode", "content": {}, "__id__": 5},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["inside a forest", "instead of one"])
def test_a_file_that_names_any_other_type_is_refused_and_runs_nothing(
    forest, tmp_path, monkeypatch, name, place
):
    marker = tmp_path / "was-here"
    (tmp_path / "trap.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    node = HOSTILE[name](marker)

    def plant(schema, _):
        if place == "inside a forest":
            schema["content"]["content"]["verbose"] = node
        else:
            kept = {key: schema[key] for key in ("protocol", "_skops_version")}
            schema.clear()
            schema.update(node | kept)

    _rewrite(forest, plant)

    with pytest.raises(ArtifactDamaged, match=r"holds the type .*no part of a forest"):
        kind.estimators("ML-RF").load(forest, device="cpu")
    assert not marker.exists()


@pytest.mark.parametrize("member", ["schema.json", "0.npy"])
def test_a_forest_that_unpacks_to_much_more_than_it_is_is_refused(forest, member):
    with zipfile.ZipFile(forest) as file:
        content = {name: file.read(name) for name in file.namelist()} | {member: b""}
    with zipfile.ZipFile(forest, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data or b"{}" + b" " * 20_000_000)

    with pytest.raises(ArtifactDamaged, match="would unpack to 2"):
        kind.estimators("ML-RF").load(forest, device="cpu")


def test_a_forest_that_unpacks_one_array_again_and_again_is_refused(forest):
    def point_all_at_one(schema, _):
        waiting, name = [schema], None
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                if "file" in node:
                    name = node["file"] = name or node["file"]
                waiting.extend(node.values())
            elif isinstance(node, list):
                waiting.extend(node)

    _rewrite(forest, point_all_at_one)

    with pytest.raises(ArtifactDamaged, match="stands for several"):
        kind.estimators("ML-RF").load(forest, device="cpu")


def test_an_estimator_that_skops_trusts_is_still_no_forest(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(LogisticRegression().fit(X, Y), path)

    with pytest.raises(ArtifactDamaged, match="LogisticRegression"):
        kind.estimators("ML-RF").load(path, device="cpu")


def test_a_forest_of_another_target_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    of = kind.estimators("ML-RF")
    estimator = of.build({"n_estimators": 2}, seed=1, device="cpu")
    estimator.forest.fit(X, Y + 1)
    of.save(estimator, path)

    with pytest.raises(ArtifactDamaged, match="not a ML-RF model"):
        of.load(path, device="cpu")


@pytest.mark.parametrize(
    ("field", "value"),
    [("feature", 10**6), ("feature", -5), ("left_child", 10**6), ("right_child", 0)],
)
def test_a_tree_that_points_outside_itself_is_refused(forest, field, value):
    def bend(_, content):
        for name, data in content.items():
            if not name.endswith(".npy"):
                continue
            target = forest.with_name("nodes.npy")
            target.write_bytes(data)
            nodes = np.load(target)
            if nodes.dtype.names and field in nodes.dtype.names:
                nodes[field][0] = value
                np.save(target, nodes)
                content[name] = target.read_bytes()

    _rewrite(forest, bend)

    with pytest.raises(ArtifactDamaged, match="point outside themselves"):
        kind.estimators("ML-RF").load(forest, device="cpu")


def test_boosting_of_another_origin_is_refused(tmp_path):
    path = tmp_path / "model.ubj"
    xgb.train({"objective": "binary:logistic"}, xgb.DMatrix(X, Y), 2).save_model(path)

    with pytest.raises(ArtifactDamaged, match="of another origin"):
        kind.estimators("ML-XGB").load(path, device="cpu")


@pytest.fixture
def boosting(tmp_path):
    of = kind.estimators("ML-XGB")
    path = tmp_path / "model.ubj"
    params = kind.find("ML-XGB").check({"n_estimators": 3})
    of.save(of.build(params, seed=1, device="cpu").fit(X, Y), path)
    return path


def _replace(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


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

    with pytest.raises(ArtifactDamaged, match="point outside themselves"):
        kind.estimators("ML-XGB").load(boosting, device="cpu")


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
    _replace(boosting, old, new)

    with pytest.raises(ArtifactDamaged, match="not a ML-XGB model"):
        kind.estimators("ML-XGB").load(boosting, device="cpu")


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

    of.save(estimator, tmp_path / "model")
    loaded = of.load(tmp_path / "model", device="cpu")

    assert np.array_equal(kind.scores_of(loaded, X), kind.scores_of(estimator, X))


def _network(model_id, path):
    of = kind.estimators(model_id)
    params = kind.find(model_id).check({"max_epochs": 1})
    of.save(of.build(params, seed=1, device="cpu").fit(X, Y), path)
    return of


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
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
def test_a_network_of_another_description_is_refused(model_id, description, tmp_path):
    path = tmp_path / "model.safetensors"
    of = _network(model_id, path)
    metadata = {"kind": model_id, "version": "1", "network": description}
    save_file(load_file(path), path, metadata=metadata)

    with pytest.raises(ArtifactDamaged):
        of.load(path, device="cpu")


def _describe(path, **changes):
    """Change the description in a network's file, and leave its weights."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    metadata["network"] = json.dumps(json.loads(metadata["network"]) | changes)
    save_file(load_file(path), path, metadata=metadata)


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_file_that_claims_a_million_features_takes_no_memory_for_them(model_id, tmp_path):
    path = tmp_path / "model.safetensors"
    of = _network(model_id, path)
    _describe(path, n_features=1_000_000)

    # A matrix of as many rows and columns would not fit into any machine.
    with pytest.raises(ArtifactDamaged, match="other weights than its description"):
        of.load(path, device="cpu")


def test_a_file_that_claims_thousands_of_layers_takes_no_time_for_them(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    of = _network("DL-TABNET", path)
    _describe(path, n_steps=100, n_independent=100, n_shared=100)
    monkeypatch.setattr(of, "_network", lambda *_: pytest.fail("it was built"))

    with pytest.raises(ArtifactDamaged, match="20000 layers"):
        of.load(path, device="cpu")


@pytest.mark.parametrize("model_id", ["DL-DNN", "DL-TABNET"])
def test_a_network_of_a_later_format_is_told_from_a_damaged_one(model_id, tmp_path):
    path = tmp_path / "model.safetensors"
    of = _network(model_id, path)
    save_file(load_file(path), path, metadata={"kind": model_id, "version": "2", "network": "{}"})

    with pytest.raises(ArtifactDamaged, match="of version 1"):
        of.load(path, device="cpu")


@pytest.mark.parametrize(
    "file", sorted(RELEASED.glob("*/*.model")), ids=lambda f: f"{f.parent.name}-{f.stem}"
)
def test_a_model_of_a_released_format_still_loads_and_scores_the_same(file, tmp_path):
    """Each was written by `save` of the version that names its folder; none is ever redone."""
    rows = np.load(file.parent / "rows.npy", allow_pickle=False)
    expected = np.load(file.with_suffix(".npy"), allow_pickle=False)
    copy = shutil.copy(file, tmp_path)

    scores = kind.scores_of(kind.estimators(file.stem).load(Path(copy), device="cpu"), rows)

    assert scores == pytest.approx(expected, abs=1e-6)


def test_every_kind_has_a_released_model():
    assert {file.stem for file in RELEASED.glob("*/*.model")} == set(kind.available())
