"""What the demo does in its steps; what it says of them is in `course`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, literal, select

from configs.errors import WrongState
from launcher.demo import applicants
from launcher.demo.statements import as_shown
from launcher.terminal import modelfile
from launcher.terminal.session import Session
from pipeline.roles import Choices
from storage import datasets as registered
from storage import leaderboard, model_list
from storage.records import Dataset, ModelEntry
from storage.schema import dc_batch, dc_candidate_model_list, dc_model

NAME = "DEMO"
"""The name of its data set, model group, launcher and, before a batch's number, candidate lists."""
QUEUE = "demo"
"""Its own queue: the demo must not run what others have waiting in this database."""
MEMBERS = 5
"""Models that vote in a round: the default, thirty, cannot be drawn from the demo's ten."""
MODELS = """\
# The demo's models. Change them and load them again: deepcredit model load var/demo/models.toml

[[model]]
model_no = 9001
model_id = "ML-XGB"
model_group_id = "DEMO"
model_desc = "boosted trees, six variants"

[model.param]
n_estimators = 150
subsample = 0.8
grid = { max_depth = [2, 3], learning_rate = [0.03, 0.06, 0.1] }

[[model]]
model_no = 9002
model_id = "ML-RF"
model_group_id = "DEMO"
model_desc = "random forests, two variants"

[model.param]
grid = { min_samples_leaf = [5, 20] }

[[model]]
model_no = 9003
model_id = "DL-DNN"
model_group_id = "DEMO"
model_desc = "a small network, rare arrears weighted up"

[model.param]
classWeight = "balanced"
max_epochs = 60
patience = 10

[[model]]
model_no = 9004
model_id = "DL-TABNET"
model_group_id = "DEMO"
model_desc = "TabNet, kept short"

[model.param]
max_epochs = 12
batch_size = 256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to load, and what its columns are for."""

    path: Path
    choices: Choices

    @property
    def group(self) -> str:
        return self.path.stem.upper()


def made_up_applicants(folder: Path, rows: int) -> Source:
    """Write the made-up applicants, and say what their columns are for."""
    path = folder / f"{NAME.lower()}.csv"
    applicants.write_csv(path, rows)
    return Source(
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
        if dataset.dataset_group == NAME and dataset.n_rows == rows:
            return dataset
    return None


def put_models(session: Session, folder: Path) -> int:
    """Write the demo's models where a person can change them, and load them; count variants.

    Raises:
        WrongState: one has the model_no of a model of another group, which is not replaced.
    """
    path = folder / "models.toml"
    if not path.exists():
        path.write_text(MODELS, encoding="utf-8")
    entries = modelfile.read(path)

    def work(connection: Connection) -> None:
        _require_free(model_list.listing(connection), {entry.model_no for entry in entries}, path)
        model_list.put(connection, entries)

    session.write(work)
    return sum(len(modelfile.expand(entry)) for entry in entries)


def _require_free(there: Sequence[ModelEntry], wanted: set[int], path: Path) -> None:
    for each in there:
        if each.model_no in wanted and each.model_group_id != NAME:
            raise WrongState(
                f"model_no {each.model_no} of dc_model_list belongs to group "
                f"{each.model_group_id}; give the demo's model another number in {path}, "
                "then run the demo again"
            )


def statement(session: Session, **columns: Any) -> str:
    """An INSERT into dc_batch as an operator would write it, for the demo's queue."""
    return as_shown(session, insert(dc_batch).values(**columns, state="I", queue=QUEUE))


def list_of(batch_id: int) -> str:
    """The candidate list that gets every model of a train batch."""
    return f"{NAME}{batch_id}"


def candidates(session: Session, batch_id: int) -> str:
    """An INSERT that puts every model of a train batch on its candidate list."""
    key = (dc_model.c.batch_id, dc_model.c.model_no, dc_model.c.model_sub_no)
    name = literal(list_of(batch_id)).label("candidate_id")
    rows = select(name, *key).where(dc_model.c.batch_id == batch_id)
    names = ["candidate_id", *(column.name for column in key)]
    listing = insert(dc_candidate_model_list).from_select(names, rows)
    return as_shown(session, listing)


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
