"""Batches run in this process, on models that were trained for real or made up by the hundred."""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from configs.settings import Settings
from launcher.terminal import applicants
from models import scores
from pipeline import datasets, ownership, run
from pipeline.executor import Executor, Inline
from pipeline.roles import Choices
from storage import arrays, batches, candidates, claims, identity, model_list, results
from storage.artifacts.opening import open_store
from storage.engine import make_engine, reading, transaction
from storage.records import Claim, ModelEntry, Offer, Result, Split, TrainedModel

KINDS = ("ML-XGB", "ML-RF", "DL-DNN", "DL-TABNET")


class Crash(Exception):
    """Stands for the death of a process."""


class Lab:
    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.engine: Engine = make_engine(settings)
        self.store = open_store(settings)
        self.notes: list[str] = []
        self.executor: Executor = Inline()

    def do(self, work: Any) -> Any:
        return transaction(self.engine, work)

    def add(self, **columns: Any) -> int:
        parameters = columns.pop("parameters", None)
        if parameters is not None:
            columns["batch_param"] = json.dumps(parameters)
        return self.do(lambda connection: batches.add(connection, **columns))

    def claim(self, batch_id: int) -> Claim:
        """Claimed as `deepcredit run` does."""
        batch = self.do(
            lambda connection: claims.claim(
                connection,
                Offer(server="LAB"),
                identity="lab",
                lease_seconds=600,
                batch_id=batch_id,
            )
        )
        assert batch is not None, f"batch {batch_id} cannot be claimed"
        return claims.claim_of(batch)

    def execute(self, batch_id: int, executor: Executor | None = None) -> str:
        """Claim, run and finish; an error leaves the batch in U, as a crash would."""
        claim = self.claim(batch_id)
        summary = run.execute(
            claim,
            settings=self.settings,
            engine=self.engine,
            store=self.store,
            executor=executor or self.executor,
            report=lambda share, note: self.notes.append(f"{share:.3f} {note}"),
        )
        assert self.do(lambda connection: claims.finish(connection, claim))
        return summary

    def again(self, batch_id: int) -> None:
        self.do(lambda connection: batches.rerun(connection, batch_id))

    def ensemble(
        self, parameters: dict[str, Any], candidate_id: str = "C001", **columns: Any
    ) -> int:
        """Add an ensemble batch and run it."""
        batch_id = self.add(
            mode="ensemble", candidate_id=candidate_id, parameters=parameters, **columns
        )
        self.execute(batch_id)
        return batch_id

    def rows(self, table: Any, batch_id: int, *leave_out: str) -> list[tuple[Any, ...]]:
        """All rows of a batch, in a stable order."""
        columns = [c for c in table.c if c.name not in ("batch_id", "created_at", *leave_out)]
        keys = [c for c in table.primary_key.columns if c.name != "batch_id"]
        query = select(*columns).where(table.c.batch_id == batch_id).order_by(*keys)
        with reading(self.engine) as connection:
            return [tuple(row) for row in connection.execute(query)]

    def list_models(self, candidate_id: str, names: Sequence[tuple[int, int, int]]) -> None:
        self.do(lambda connection: candidates.add(connection, candidate_id, names))

    def load_applicants(
        self, group: str = "DATA001", *, rows: int = 400, seed: int = 1, **choices: Any
    ) -> None:
        path = self.folder / f"{group}.csv"
        applicants.write_csv(path, rows, seed)
        chosen = {"target": applicants.TARGET, "id_column": applicants.ID, **choices}
        made = Choices(**chosen)
        datasets.load_file(self.engine, path, group=group, choices=made)

    def train(self, params: Sequence[tuple[str, str]], **columns: Any) -> int:
        """Train one model a pair of model_id and model_param, for real."""
        entries = [
            ModelEntry(
                model_no=number,
                model_id=model_id,
                model_group_id="M100",
                model_param=text,
                use_yn="Y",
                model_desc=None,
            )
            for number, (model_id, text) in enumerate(params, start=1)
        ]
        self.do(lambda connection: model_list.put(connection, entries))
        row = {"dataset_group": "DATA001", "dataset_version": 1, "model_group": "M100"} | columns
        batch_id = self.add(mode="train", **row)
        self.execute(batch_id)
        return batch_id

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
        ownership.take(self.store, self.do(identity.database_id), where=self.engine.url)
        batch_id = self.add(mode="train", batch_desc="made up", state="C")
        random = np.random.default_rng(seed)
        y = {
            name: np.resize([1, 0, 0, 0], n).astype(np.int8)
            for name, n in (("valid", valid), ("test", test))
        }
        split = self._make_up_split(y, seed, target)
        self.do(lambda connection: results.put_split(connection, split))
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
        self.do(lambda connection: results.put_model(connection, model, rows))


def vars_of(metrics: scores.Metrics) -> dict[str, Any]:
    return {name: getattr(metrics, name) for name in metrics.__slots__}


def _scores(random: np.random.Generator, seen: Any) -> Any:
    """What a model makes of the truth: its own view of it, its own mistakes."""
    told = (1 + 0.3 * random.random()) * seen + random.normal(0, 0.6, len(seen))
    return (1 / (1 + np.exp(-(2 * told - 1.5)))).astype(np.float32)
