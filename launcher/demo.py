"""The demo: the whole way from a file to ranked models, in the steps an operator would take."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, NoReturn

from sqlalchemy import Connection, insert, literal, select

from configs.errors import DeepCreditError, WrongState
from launcher import modelfile
from launcher.child import python_environment
from launcher.console import Bar
from launcher.session import Session
from launcher.statements import as_shown
from models import variants
from pipeline import applicants
from pipeline.roles import Choices
from storage import batches, leaderboard, registry
from storage import datasets as registered
from storage.records import Batch, Dataset, ModelEntry
from storage.schema import dc_batch, dc_candidate_model_list, dc_model

DATA_GROUP = MODEL_GROUP = "DEMO"
SERVER = "DEMO"
QUEUE = "demo"
"""Of its own: what others have waiting in this database is not the demo's to run."""
CANDIDATES = "DEMO"
MEMBERS = 5
"""Of the demo's ten models; with so few, thirty cannot be drawn."""
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
_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0
_SOON = timedelta(minutes=1)


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
    """Write the demo's models where a person can change them, and load them; count variants.

    Raises:
        WrongState: one has the model_no of a model of another group, which is not replaced.
    """
    path = folder / "models.toml"
    if not path.exists():
        path.write_text(MODELS, encoding="utf-8")
    entries = modelfile.read(path)

    def work(connection: Connection) -> None:
        _require_free(registry.listing(connection), {entry.model_no for entry in entries}, path)
        registry.put(connection, entries)

    session.write(work)
    return sum(
        len(variants.expand(entry.model_param, entry.model_id, model_no=entry.model_no))
        for entry in entries
    )


def _require_free(there: Sequence[ModelEntry], wanted: set[int], path: Path) -> None:
    for each in there:
        if each.model_no in wanted and each.model_group_id != MODEL_GROUP:
            raise WrongState(
                f"model_no {each.model_no} of dc_model_list belongs to group "
                f"{each.model_group_id}; give the demo's model another number in {path}, "
                "then run the demo again"
            )


def statement(session: Session, **columns: Any) -> str:
    """An INSERT into dc_batch as an operator would write it, for the demo's queue."""
    return as_shown(session, insert(dc_batch).values(**columns, queue=QUEUE))


def candidates(session: Session, batch_id: int) -> str:
    """An INSERT that puts every model of a train batch on the demo's candidate list."""
    key = (dc_model.c.batch_id, dc_model.c.model_no, dc_model.c.model_sub_no)
    name = literal(f"{CANDIDATES}{batch_id}").label("candidate_id")
    rows = select(name, *key).where(dc_model.c.batch_id == batch_id)
    names = ["candidate_id", *(column.name for column in key)]
    listing = insert(dc_candidate_model_list).from_select(names, rows)
    return as_shown(session, listing)


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    said: IO[bytes]

    def last_words(self) -> str:
        """Why it ended, as far as it said so."""
        self.said.seek(0)
        lines = self.said.read().decode("utf-8", "replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it said nothing'}; see {self.log}"


@contextmanager
def launcher(session: Session) -> Iterator[Launcher]:
    """Start a launcher; it is stopped at the end of the context, also one that SIGTERM ends, and
    when this process is killed.
    """
    before = signal.signal(signal.SIGTERM, _ended)
    command = [sys.executable, "-P", "-m", "launcher.tethered", *session.options.words()]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [*command, "launcher", SERVER, "--queue", QUEUE],
            env=python_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # a Ctrl-C is for us, who then tell it to stop
        ) as process,
    ):
        try:
            yield Launcher(process, session.settings.log_dir / f"{SERVER}.log", said)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()  # the second one stops at once
                process.wait()
            signal.signal(signal.SIGTERM, before)


def _ended(number: int, _frame: object) -> NoReturn:
    """An exception, so that what was started is stopped."""
    sys.exit(128 + number)


def wait(session: Session, running: Launcher, number: int, bar: Bar) -> Batch:
    """Wait until a batch has ended.

    Raises:
        DeepCreditError: it failed, if only for twenty minutes; or the launcher ended before it.
    """
    while True:
        ended = running.process.poll() is not None
        now = session.read(lambda connection: batches.read(connection, number))
        if now is None or (now.state == "E" and not _retried_at_once(now)):
            reason = now and now.error_text
            raise DeepCreditError(
                f"batch {number} failed: {reason or 'its row is gone'}; see {running.log}"
            )
        if now.state == "C":
            return now
        if ended:
            raise DeepCreditError(
                f"the launcher ended before batch {number}: {running.last_words()}"
            )
        starting = "the launcher is starting" if now.state == "I" else "starting"
        bar(now.progress or 0.0, now.progress_note or starting)
        time.sleep(_POLL_SECONDS)


def _retried_at_once(failed: Batch) -> bool:
    if failed.run_after is None or failed.work_end_date is None:
        return False
    return failed.run_after - failed.work_end_date < _SOON


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
