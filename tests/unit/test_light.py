"""Who only hands out work imports no library of models, and a worker only those of its task."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def _said(code: str, *arguments: str) -> list[str]:
    """The lines that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return done.stdout.splitlines()


def _imported_by(code: str, libraries: tuple[str, ...] = HEAVY) -> set[str]:
    """Those of the libraries that a fresh process has imported after `code`."""
    ending = f"\nimport json, sys\nprint(json.dumps([n for n in {libraries} if n in sys.modules]))"
    return set(json.loads(_said(code + ending)[-1]))


def test_commands_batches_own_processes_and_the_description_of_every_kind_are_light() -> None:
    found = _imported_by("""
from launcher import cli
from launcher.service.child_main import warm_up
from launcher.terminal import folder
from models import demand, kind
from models.variants import expand
from pipeline import mode
for name in folder.names():
    folder.load(name)
warm_up()
for name in mode.available():
    mode.find(name)
for model_id in kind.available():
    (variant,) = expand('{"resampling": "smote"}', model_id, model_no=1)
    demand.of_fit(model_id, variant, rows=100, all_rows=200, columns=5)
""")

    assert found == set()


def test_help_and_a_launcher_import_next_to_nothing() -> None:
    tables = ("alembic", "dask", "distributed", "numpy", "pyarrow")
    help_ = "from launcher import cli\nassert cli.execute(['--help']) == 0"
    launcher = (
        "from launcher import cli\nfrom launcher.terminal import folder\nfolder.load('launcher')"
    )

    assert _imported_by(help_, (*HEAVY, *tables, "rich", "sqlalchemy")) == set()
    assert _imported_by(launcher, (*HEAVY, *tables, "paramiko")) == set()


def test_commands_that_only_ask_the_database_load_nothing_for_data() -> None:
    commands = """
from launcher.terminal import folder
for name in ("batch", "leaderboard", "queue", "results", "run", "server", "status"):
    folder.load(name)
"""

    assert _imported_by(commands, ("alembic", "numpy", "paramiko", "pyarrow")) == set()


def test_what_becomes_dask_s_own_command_does_not_load_the_library_twice() -> None:
    commands = "from launcher.commands import scheduler, worker"

    assert _imported_by(commands, ("distributed",)) == set()


LIVES = """
import json, pathlib, sys, tempfile
import numpy as np
from models import devices, kind, resampling
from pipeline import fitting, scoring
from pipeline.ensembles import part_scoring
watched = ("imblearn", "pandas", "sklearn", "torch", "torch._dynamo", "xgboost")
for model_id, resampled, params in json.loads(sys.argv[1]):
    X = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int8)
    of = kind.estimators(model_id)
    X, y = resampling.find(resampled)(X, y, None, seed=1)
    params = kind.find(model_id).check(params)
    with devices.minding_memory(of.CARD):
        model = of.build(params, seed=1, device=devices.best(of.CARD)).fit(X, y, eval_set=(X, y))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model")
        model.save(path)
        of.load(path, device="cpu").scores(X)
    print(json.dumps([name for name in watched if name in sys.modules]))
"""
TREES, EPOCH = {"n_estimators": 2}, {"max_epochs": 1}


@pytest.mark.parametrize(
    "lives",
    [
        [
            ("ML-RF", "none", TREES, ["sklearn"]),
            ("ML-XGB", "none", TREES, ["sklearn", "xgboost"]),
            ("ML-XGB", "smote", TREES, ["imblearn", "sklearn", "xgboost"]),
        ],
        [("DL-DNN", "none", EPOCH, ["torch"]), ("DL-TABNET", "none", EPOCH, ["torch"])],
    ],
    ids=["trees", "networks"],
)
def test_a_model_s_life_imports_its_own_kind_s_libraries_alone(lives: list[Any]) -> None:
    """One process for those after each other whose libraries add up."""
    found = _said(LIVES, json.dumps([life[:3] for life in lives]))

    assert [json.loads(line) for line in found] == [life[3] for life in lives]
