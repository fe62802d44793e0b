"""Who only hands out work imports no library of models, and a worker only those of its task."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "imblearn",
    "matplotlib",
    "numba",
    "pandas",
    "pytorch_tabnet",
    "sklearn",
    "torch",
    "torch._dynamo",
    "xgboost",
)


def _imported_by(code: str, libraries: tuple[str, ...] = HEAVY) -> set[str]:
    """Those of the libraries that a fresh process has imported after `code`."""
    ending = f"\nimport json, sys\nprint(json.dumps([n for n in {libraries} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code + ending],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_batch_s_own_process_and_the_description_of_every_kind_are_light() -> None:
    found = _imported_by("""
from launcher.service.child_main import warm_up
from models import demand, kind
from models.variants import expand
from pipeline import mode
warm_up()
for name in mode.available():
    mode.find(name)
for model_id in kind.available():
    (variant,) = expand('{"resampling": "smote"}', model_id, model_no=1)
    demand.of_fit(model_id, variant, rows=100, all_rows=200, columns=5)
""")

    assert found == set()


def test_every_command_is_light() -> None:
    assert (
        _imported_by("""
from launcher import cli
from launcher.terminal import folder
for name in folder.names():
    folder.load(name)
""")
        == set()
    )


def test_help_and_a_launcher_import_next_to_nothing() -> None:
    tables = ("alembic", "dask", "distributed", "numpy", "pyarrow")
    help_ = "from launcher import cli\nassert cli.execute(['--help']) == 0"
    launcher = (
        "from launcher import cli\nfrom launcher.terminal import folder\nfolder.load('launcher')"
    )

    assert _imported_by(help_, (*HEAVY, *tables, "rich", "sqlalchemy")) == set()
    assert _imported_by(launcher, (*HEAVY, *tables, "paramiko")) == set()


def test_what_becomes_dask_s_own_command_does_not_load_the_library_twice() -> None:
    commands = "from launcher.commands import scheduler, worker"

    assert _imported_by(commands, ("distributed",)) == set()


FIT = """
import numpy as np, pathlib, tempfile
from models import devices, kind, resampling
from pipeline import fitting, scoring
from pipeline.ensembles import part_scoring
X = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(np.int8)
of = kind.estimators({0!r})
X, y = resampling.find({1!r})(X, y, None, seed=1)
params = kind.find({0!r}).check({2!r})
with devices.minding_memory(of.CARD):
    model = of.build(params, seed=1, device=devices.best(of.CARD)).fit(X, y, eval_set=(X, y))
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "model")
    model.save(path)
    of.load(path, device="cpu").scores(X)
"""


@pytest.mark.parametrize(
    ("model_id", "params", "others"),
    [
        ("ML-RF", {"n_estimators": 2}, {"torch", "xgboost", "imblearn"}),
        ("ML-XGB", {"n_estimators": 2}, {"torch", "imblearn"}),
        ("DL-DNN", {"max_epochs": 1}, {"torch._dynamo", "xgboost", "imblearn"}),
        ("DL-TABNET", {"max_epochs": 1}, {"torch._dynamo", "xgboost", "imblearn"}),
    ],
)
def test_a_model_s_life_imports_its_own_kind_s_libraries_alone(
    model_id: str, params: dict[str, int], others: set[str]
) -> None:
    assert _imported_by(FIT.format(model_id, "none", params)) & others == set()


def test_resampling_imports_its_library_where_rows_are_resampled() -> None:
    assert "imblearn" in _imported_by(FIT.format("ML-XGB", "smote", {"n_estimators": 2}))
