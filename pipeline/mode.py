"""What a mode is, and how it is found: `train` is pipeline/modes/train.py."""

from pathlib import Path
from typing import Protocol, cast

from sqlalchemy import Connection

from configs import plugins
from configs.errors import NotFound
from configs.meant import meant
from pipeline.context import Context
from pipeline.parameters import BatchParameters, parse
from storage import datasets
from storage.records import Batch


class Mode(Protocol):
    """A module of pipeline/modes."""

    Parameters: type[BatchParameters]
    """The keys of its batch_param."""

    IGNORED: tuple[str, ...]
    """Columns that name something, and that it does not read."""

    SCORES_ROWS: bool
    """Whether its results have files of scores, for `deepcredit scores`."""

    def check(
        self, connection: Connection, batch: Batch, parameters: BatchParameters
    ) -> tuple[str, ...]:
        """Raise what a run would end with before it reads the data: it names what is not there.
        Return what a person may want otherwise.
        """
        ...

    def run(self, batch: Batch, parameters: BatchParameters, context: Context) -> str:
        """Do the batch's work and commit it piece by piece; return one line that sums it up."""
        ...


def available() -> tuple[str, ...]:
    """Every mode, sorted; a new mode is a new file."""
    folder = Path(__file__).parent / "modes"
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def find(mode: str | None) -> Mode:
    """The module of a mode.

    Raises:
        NotFound: there is no such mode; the message lists those there are.
    """
    if mode not in available():
        there = available()
        wrong = "mode is NULL" if mode is None else f"unknown mode {mode!r}"
        raise NotFound(f"{wrong}; {meant(mode or '', there)}there are: {', '.join(there)}")
    return cast("Mode", plugins.load(f"pipeline.modes.{mode}"))


def check(connection: Connection, batch: Batch) -> tuple[str, ...]:
    """Raise the error that a run of this row would end with at once, as far as one can tell;
    return what a person may want otherwise.
    """
    chosen = find(batch.mode)
    doubts = chosen.check(connection, batch, parse(batch.batch_param, chosen.Parameters))
    if batch.dataset_group is not None and batch.dataset_version is not None:
        datasets.read(connection, batch.dataset_group, batch.dataset_version)
    return doubts + tuple(
        f"{name} is ignored: {batch.mode} does not read it"
        for name in chosen.IGNORED
        if getattr(batch, name) is not None
    )
