"""Batches run in the test's own process: real database and store, tasks inline, no launcher."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import insert, select

from configs.errors import DeepCreditError, retry_of
from configs.settings import Settings
from pipeline.datasets import load_file
from pipeline.executor import Executor, Inline
from pipeline.roles import Choices
from pipeline.run import execute
from storage import claims
from storage.artifacts.opening import open_store
from storage.engine import make_engine, reading, transaction
from storage.records import Offer
from storage.schema import dc_batch, dc_batch_result, dc_model, dc_model_list

XGB = (1, "ML-XGB", '{"n_estimators": 5}')


class Desk:
    """Adds rows as an operator does, and runs them as a child process does."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.engine = make_engine(settings)
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

    def models(self, *entries: tuple[int, str, str | None]) -> None:
        names = ("model_no", "model_id", "model_param")
        rows = [dict(zip(names, entry, strict=True), model_group_id="M") for entry in entries]
        transaction(self.engine, lambda c: c.execute(insert(dc_model_list), rows))

    def add(self, **columns: Any) -> int:
        defaults = {"mode": "train", "dataset_group": "G", "dataset_version": 1, "model_group": "M"}
        statement = insert(dc_batch).values(defaults | columns)
        return transaction(self.engine, lambda c: c.execute(statement).inserted_primary_key[0])

    def run(self, batch_id: int) -> str:
        """Claim, execute and end one batch; raises what the run raised, after recording it."""
        batch = transaction(
            self.engine,
            lambda connection: claims.claim(
                connection,
                Offer(server="DESK"),
                identity="desk",
                lease_seconds=60,
                batch_id=batch_id,
            ),
        )
        assert batch is not None, "it cannot be claimed"
        claim = claims.claim_of(batch)
        try:
            summary = execute(
                claim,
                settings=self.settings,
                engine=self.engine,
                store=self.store,
                executor=self.executor,
                report=lambda share, note: self.reports.append((share, note)),
            )
        except DeepCreditError as error:
            words: dict[str, Any] = {
                "error_class": type(error).__name__,
                "error_text": str(error),
                "retry": retry_of(error),
            }
            transaction(self.engine, lambda connection: claims.fail(connection, claim, **words))
            raise
        transaction(self.engine, lambda connection: claims.finish(connection, claim))
        return summary

    def train(self, batch_param: str | None = None, **columns: Any) -> int:
        batch_id = self.add(batch_param=batch_param, **columns)
        self.run(batch_id)
        return batch_id

    def rows(self, table: Any, batch_id: int) -> Sequence[Any]:
        order = [table.c[name] for name in table.primary_key.columns.keys()]  # noqa: SIM118
        query = select(table).where(table.c.batch_id == batch_id).order_by(*order)
        with reading(self.engine) as connection:
            return connection.execute(query).all()

    def results(self, batch_id: int) -> Sequence[Any]:
        return self.rows(dc_batch_result, batch_id)

    def trained(self, batch_id: int) -> Sequence[Any]:
        return self.rows(dc_model, batch_id)

    def batch(self, batch_id: int) -> Any:
        return self.rows(dc_batch, batch_id)[0]


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
