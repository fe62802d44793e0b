"""The demo: the whole way from a file to ranked models, in the steps an operator would take."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from configs.errors import DeepCreditError
from launcher import modelfile
from launcher.child import python_environment
from launcher.console import Bar
from launcher.session import Session
from models import variants
from pipeline import applicants
from pipeline.roles import Choices
from storage import batches, leaderboard, registry
from storage import datasets as registered
from storage.records import Batch, Dataset
from storage.schema import dc_batch

DATA_GROUP = MODEL_GROUP = "DEMO"
SERVER = "DEMO"
MODELS = """\
# The demo's models. Change them and load them again: deepcredit model load var/demo/models.toml

[[model]]
model_no = 9001
model_id = "ML-XGB"
model_group_id = "DEMO"
model_desc = "boosted trees, six variants"

[model.param]
n_estimators = 200
subsample = 0.8
grid = { max_depth = [2, 3], learning_rate = [0.03, 0.06, 0.1] }

[[model]]
model_no = 9002
model_id = "ML-RF"
model_group_id = "DEMO"
model_desc = "random forests, two variants"

[model.param]
n_estimators = 200
grid = { min_samples_leaf = [5, 20] }

[[model]]
model_no = 9003
model_id = "DL-DNN"
model_group_id = "DEMO"
model_desc = "a small network, rare arrears weighted up"

[model.param]
classWeight = "balanced"

[[model]]
model_no = 9004
model_id = "DL-TABNET"
model_group_id = "DEMO"
model_desc = "TabNet, kept short"

[model.param]
max_epochs = 15
"""
_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData:
    """A file to use in the place of the made-up applicants."""

    path: Path
    choices: Choices

    @property
    def group(self) -> str:
        return self.path.stem.upper()


def made_up_applicants(folder: Path, rows: int) -> OwnData:
    """Write the made-up applicants, and say what their columns are for."""
    path = folder / f"{DATA_GROUP.lower()}.csv"
    applicants.write_csv(path, rows)
    return OwnData(
        path=path,
        choices=Choices(
            target=applicants.TARGET,
            id_column=applicants.ID,
            time_column=applicants.TIME,
            missing={name: (value,) for name, value in applicants.SENTINELS.items()},
        ),
    )


def registered_before(session: Session, rows: int) -> Dataset | None:
    """The made-up applicants, if an earlier demo loaded as many of them."""
    for dataset in session.read(registered.listing):
        if dataset.dataset_group == DATA_GROUP and dataset.n_rows == rows:
            return dataset
    return None


def put_models(session: Session, folder: Path) -> int:
    """Write the demo's models where a person can change them, and load them; count variants."""
    path = folder / "models.toml"
    if not path.exists():
        path.write_text(MODELS, encoding="utf-8")
    entries = modelfile.read(path)
    session.write(lambda connection: registry.put(connection, entries))
    return sum(
        len(variants.expand(entry.model_param, entry.model_id, model_no=entry.model_no))
        for entry in entries
    )


def statement(**columns: Any) -> str:
    """An INSERT into dc_batch as an operator would write it."""
    compiled = insert(dc_batch).values(**columns).compile(compile_kwargs={"literal_binds": True})
    return str(compiled).replace(" VALUES ", "\nVALUES ")


def submit(session: Session, sql: str) -> int:
    """Run an INSERT exactly as it is shown; the new batch_id."""

    def work(connection: Connection) -> int:
        return int(connection.exec_driver_sql(sql).lastrowid)

    return session.write(work)


def drain(session: Session, numbers: Sequence[int], bar: Bar) -> list[Batch]:
    """Start a launcher that runs what waits and exits; the batches as they ended.

    Raises:
        DeepCreditError: the launcher failed, or left a batch unfinished.
    """
    command = [sys.executable, "-P", "-m", "launcher", *session.options.words()]
    log = session.settings.log_dir / f"{SERVER}.log"
    launcher = subprocess.Popen(
        [*command, "launcher", SERVER, "--drain"],
        env=python_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # it is all in the log
    )
    try:
        while launcher.poll() is None:
            now = _all(session, numbers)
            done = sum(1.0 if batch.state == "C" else batch.progress or 0.0 for batch in now)
            bar(done / len(now), _note(now))
            time.sleep(_POLL_SECONDS)
    finally:
        if launcher.poll() is None:
            launcher.terminate()
            launcher.wait(_STOP_SECONDS)
    ended = _all(session, numbers)
    for batch in ended:
        if batch.state != "C":
            reason = batch.error_text or "the launcher ended before it"
            raise DeepCreditError(f"batch {batch.batch_id} was not completed: {reason}; see {log}")
    return ended


def equal_figures(session: Session, trained: int, predicted: int) -> tuple[int, int]:
    """How many models of a predict batch have the very AUC on test that training wrote down."""

    def figures(number: int) -> dict[tuple[int, int], float]:
        rows = session.read(lambda connection: leaderboard.results(connection, number))
        return {
            (row["model_no"], row["model_sub_no"]): row["auc"]
            for row in rows
            if row["split"] == "test" and row["state"] == "C"
        }

    first, second = figures(trained), figures(predicted)
    return sum(first[key] == second.get(key) for key in first), len(first)


def _all(session: Session, numbers: Sequence[int]) -> list[Batch]:
    def question(connection: Connection) -> list[Batch]:
        found = [batches.read(connection, number) for number in numbers]
        return [batch for batch in found if batch is not None]

    return session.read(question)


def _note(now: Sequence[Batch]) -> str:
    running = next((batch for batch in now if batch.state == "U"), None)
    if running is None:
        return "the launcher is starting"
    return f"{running.mode}: {running.progress_note or 'starting'}"
