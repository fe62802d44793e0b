"""Batches run in this process, on models that were trained for real or made up by the hundred."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import make_url

from configs.settings import Settings
from launcher.demo import applicants
from models import scores
from pipeline import datasets, ownership
from pipeline.roles import Choices
from storage import arrays, candidates, identity, results
from storage.records import Result, Split, TrainedModel
from tests.desk import Desk

NAMELESS = ("dataset_group", "dataset_version", "model_group")
KINDS = ("ML-XGB", "ML-RF", "DL-DNN", "DL-TABNET")


class Crash(Exception):
    """Stands for the death of a process."""


class Lab(Desk):
    @classmethod
    def once_trained(
        cls, settings: Settings, folder: Path, kept: Path, train: Callable[["Lab"], None]
    ) -> "Lab":
        """On SQLite, as `train` leaves it: the first time that does so, then a copy of that in
        `kept` takes its place.
        """
        database, copy = make_url(settings.database_url).database or "", kept / "database"
        if copy.exists():
            shutil.copy(copy, database)
            shutil.copytree(kept / "folder", folder, dirs_exist_ok=True)
            return cls(settings, folder)
        lab = cls(settings, folder)
        train(lab)
        lab.reports.clear()
        shutil.copytree(folder, kept / "folder")
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return lab

    def ensemble(
        self, parameters: dict[str, Any], candidate_id: str = "C001", **columns: Any
    ) -> int:
        """Add an ensemble batch and run it."""
        batch_id = self.add(
            mode="ensemble", candidate_id=candidate_id, parameters=parameters, **columns
        )
        self.execute(batch_id)
        return batch_id

    def list_models(self, candidate_id: str, names: Sequence[tuple[int, int, int]]) -> None:
        self(candidates.add, candidate_id, names)

    def load_applicants(
        self, group: str = "DATA001", *, rows: int = 400, seed: int = 1, **choices: Any
    ) -> None:
        path = self.folder / f"{group}.csv"
        applicants.write_csv(path, rows, seed)
        chosen = {"target": applicants.TARGET, "id_column": applicants.ID, **choices}
        made = Choices(**chosen)
        datasets.load_file(self.engine, path, group=group, choices=made)

    def train_each(self, params: Sequence[tuple[str, str]], **columns: Any) -> int:
        """Train one model a pair of model_id and model_param, for real."""
        self.models(*((number, *each) for number, each in enumerate(params, start=1)))
        batch_id = self.add(**({"dataset_group": "DATA001"} | columns))
        self.execute(batch_id)
        return batch_id

    def train_five(self, **columns: Any) -> None:
        """Two kinds with grids, as batch 1, and list them as C001."""
        boosted = '{"n_estimators": 10, "grid": {"max_depth": [1, 2, 3]}}'
        forest = '{"n_estimators": 10, "grid": {"min_samples_leaf": [5, 20]}}'
        self.train_each([("ML-XGB", boosted), ("ML-RF", forest)], **columns)
        self.list_models("C001", [(1, *name) for name in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2))])

    def make_up(
        self,
        models: int,
        *,
        valid: int = 300,
        test: int = 280,
        seed: int = 0,
        target: str | None = "default = 1",
    ) -> int:
        """A train batch that says it is complete, with scores that nobody trained."""
        ownership.take(self.store, self(identity.database_id), where=self.engine.url)
        batch_id = self.add(batch_desc="made up", state="C", **dict.fromkeys(NAMELESS))
        random = np.random.default_rng(seed)
        y = {
            name: np.resize([1, 0, 0, 0], n).astype(np.int8)
            for name, n in (("valid", valid), ("test", test))
        }
        split = self._make_up_split(y, seed, target)
        self(results.put_split, split)
        truth = {name: labels + random.normal(0, 0.7, len(labels)) for name, labels in y.items()}
        for number in range(1, models + 1):
            found = {name: _scores(random, seen) for name, seen in truth.items()}
            self._make_up_model(batch_id, number, split, y, found)
        return batch_id

    def _make_up_split(self, y: dict[str, Any], seed: int, target: str | None) -> Split:
        named = {f"y_{name}": labels for name, labels in y.items()}
        named |= {f"rows_{name}": np.arange(len(labels)) for name, labels in y.items()}
        split_id = sha256(f"made up {seed} {target} {len(y['valid'])}".encode()).hexdigest()
        file = self.folder / "arrays"
        arrays.save(file, named)
        stored = self.store.put(f"splits/{split_id}.safetensors", file)
        return Split(
            split_id=split_id,
            dataset_group="DATA001",
            dataset_version=1,
            content_sha256=64 * "0",
            n_train=0,
            n_valid=len(y["valid"]),
            n_test=len(y["test"]),
            uri=stored.uri,
            sha256=stored.sha256,
            target=target,
        )

    def _make_up_model(
        self, batch_id: int, number: int, split: Split, y: dict[str, Any], found: dict[str, Any]
    ) -> None:
        file = self.folder / "arrays"
        arrays.save(file, found)
        stored = self.store.put(f"models/T{batch_id}/{number}/1.f1.scores.safetensors", file)
        named = {
            "batch_id": batch_id,
            "fence": 1,
            "model_no": number,
            "model_sub_no": 1,
            "model_id": KINDS[number % len(KINDS)],
        }
        model = TrainedModel(
            **named,
            params="{}",
            threshold=0.5,
            uri=f"models/T{batch_id}/{number}/1.f1.gone",
            format="gone",
            sha256=sha256(f"{batch_id} {number}".encode()).hexdigest(),
            bytes=1,
            scores_uri=stored.uri,
            scores_sha256=stored.sha256,
            split_id=split.split_id,
            preprocessor_uri="gone",
            preprocessor_sha256=64 * "0",
            fingerprint=64 * "0",
            seconds=1.0,
            versions="{}",
        )
        rows = [
            Result(
                **named,
                split=name,
                state="C",
                n_rows=len(labels),
                threshold=0.5,
                metrics=vars_of(scores.measure(labels, found[name], 0.5)),
            )
            for name, labels in y.items()
        ]
        self(results.put_model, model, rows)


def vars_of(metrics: scores.Metrics) -> dict[str, Any]:
    return {name: getattr(metrics, name) for name in metrics.__slots__}


def _scores(random: np.random.Generator, seen: Any) -> Any:
    """What a model makes of the truth: its own view of it, its own mistakes."""
    told = (1 + 0.3 * random.random()) * seen + random.normal(0, 0.6, len(seen))
    return (1 / (1 + np.exp(-(2 * told - 1.5)))).astype(np.float32)
