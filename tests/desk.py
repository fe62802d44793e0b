"""Batches run in the test's own process: real database and store, tasks inline, no launcher."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Table, select

from configs.errors import DeepCreditError, retry_of
from configs.metric_names import METRICS
from configs.settings import Settings
from pipeline.context import Context
from pipeline.datasets import load_file
from pipeline.executor import Executor, Inline
from pipeline.roles import Choices
from pipeline.run import execute
from storage import batches, model_list
from storage.artifacts.opening import open_store
from storage.cache import open_cache
from storage.engine import make_engine, reading
from storage.records import Claim, ModelEntry
from storage.schema import dc_batch_result, dc_model
from tests.calls import Calls

XGB = (1, "ML-XGB", '{"n_estimators": 5}')


class Desk(Calls):
    """Adds batches as an operator does, and runs them as a child process does."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(make_engine(settings))
        self.settings = settings
        self.folder = folder
        self.store = open_store(settings)
        self.executor: Executor = Inline()
        self.reports: list[tuple[float, str]] = []

    def load(
        self, frame: pd.DataFrame, *, target: str = "y", version: int | None = None, **choices: Any
    ) -> None:
        """As a version of data set G, by default the next."""
        path = self.folder / "rows.csv"
        frame.to_csv(path, index=False)
        load_file(
            self.engine,
            path,
            group="G",
            choices=Choices(target=target, **choices),
            version=version,
        )

    def load_either_way(self) -> None:
        """Versions 1 and 2: the same rows, with the one or the other value as positive."""
        frame = applicants()
        frame["y"] = np.where(frame["y"] == 1, "bad", "good")
        for positive in ("bad", "good"):
            self.load(frame, id_column="id", positive=positive)

    def models(self, *entries: tuple[int, str, str | None]) -> None:
        """Into group M: model_no, model_id and model_param of each."""
        rest = {"model_group_id": "M", "use_yn": "Y", "model_desc": None}
        names = ("model_no", "model_id", "model_param")
        found = [ModelEntry(**dict(zip(names, entry, strict=True)), **rest) for entry in entries]
        self(model_list.put, found)

    def add(
        self, *, mode: str = "train", parameters: dict[str, Any] | None = None, **columns: Any
    ) -> int:
        """A batch that trains gets data set G/1 and models M unless others are named."""
        if mode == "train":
            columns = {"dataset_group": "G", "dataset_version": 1, "model_group": "M"} | columns
        if parameters is not None:
            columns["batch_param"] = json.dumps(parameters)
        return super().add(mode=mode, **columns)

    def execute(self, batch_id: int, executor: Executor | None = None) -> str:
        """Claim, execute and finish one batch; an error leaves it in U, as a crash would."""
        return self._execute(self.take(batch_id=batch_id, lease=600), executor)

    def run(self, batch_id: int, executor: Executor | None = None) -> str:
        """As `execute`, but what the run raises is recorded first, as children do."""
        claim = self.take(batch_id=batch_id, lease=600)
        try:
            return self._execute(claim, executor)
        except DeepCreditError as error:
            words = {"error_class": type(error).__name__, "error_text": str(error)}
            self.fail(claim, retry_of(error), **words)
            raise

    def _execute(self, claim: Claim, executor: Executor | None = None) -> str:
        summary = execute(
            claim,
            settings=self.settings,
            engine=self.engine,
            store=self.store,
            executor=executor or self.executor,
            report=lambda share, note: self.reports.append((share, note)),
        )
        assert self.finish(claim)
        return summary

    def train(self, batch_param: str | None = None, **columns: Any) -> int:
        batch_id = self.add(batch_param=batch_param, **columns)
        self.run(batch_id)
        return batch_id

    def predict(self, parent: int, executor: Executor | None = None, **columns: Any) -> int:
        batch_id = self.add(mode="predict", train_batch_id=parent, **columns)
        self.run(batch_id, executor)
        return batch_id

    def context(self, **others: Any) -> Context:
        """Of a batch that runs, for a piece of a mode's work."""
        own: dict[str, Any] = {
            "settings": self.settings,
            "engine": self.engine,
            "store": self.store,
            "cache": open_cache(self.settings),
            "executor": self.executor,
            "claim": self.take(batch_id=self.add(mode="ensemble")),
            "report": lambda share, note: None,
        }
        return Context(**own | others)

    def again(self, batch_id: int) -> None:
        self(batches.rerun, batch_id)

    def rows(self, table: Table, batch_id: int, *leave_out: str) -> Sequence[Any]:
        """All rows of a batch, in a stable order, as two runs of it should give them."""
        left = ("batch_id", "created_at", *leave_out)
        columns = [column for column in table.c if column.name not in left]
        query = select(*columns).where(table.c.batch_id == batch_id)
        with reading(self.engine) as connection:
            return connection.execute(query.order_by(*table.primary_key.columns)).all()

    def results(self, batch_id: int) -> Sequence[Any]:
        return self.rows(dc_batch_result, batch_id)

    def trained(self, batch_id: int) -> Sequence[Any]:
        return self.rows(dc_model, batch_id)


@contextmanager
def open_desk(settings: Settings, folder: Path) -> Iterator[Desk]:
    desk = Desk(settings, folder)
    yield desk
    desk.store.close()
    desk.engine.dispose()


def applicants(rows: int = 300, *, seed: int = 0) -> pd.DataFrame:
    """Two columns that tell, one that does not, one of categories with a gap; y is 0 or 1."""
    rng = np.random.default_rng(seed)
    income, debt = rng.normal(size=rows), rng.normal(size=rows)
    chance = 1 / (1 + np.exp(1 + income - 2 * debt))
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "income": income.round(6),
            "debt": debt.round(6),
            "noise": rng.normal(size=rows).round(6),
            "지역": rng.choice(["서울", "부산", None], size=rows, p=[0.6, 0.3, 0.1]),
            "y": (rng.random(rows) < chance).astype(int),
        }
    )


def figures(row: object) -> dict[str, object]:
    names = ("n_rows", "threshold", "tn", "fp", "fn", "tp", *METRICS)
    return {name: getattr(row, name) for name in names}
