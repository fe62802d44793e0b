"""Scores of all candidates on the rows that choose and the rows that judge, as two matrices."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.errors import ArtifactDamaged, ArtifactMissing, BadData
from configs.helpers import awaited
from configs.wording import counted
from models.kind import Labels, Scores
from models.scores import decide
from pipeline.context import Context
from pipeline.ensembles.candidates import Candidates
from pipeline.ensembles.rescoring import restore
from storage import arrays
from storage.records import ModelName, Split, TrainedModel, written

_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPart:
    """Rows of valid or of test: labels (rows,), scores (models, rows) and votes (models, rows)."""

    y: Labels
    scores: Scores
    votes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that ensembles are made of. Models stand in the order of the candidates."""

    models: tuple[TrainedModel, ...]
    valid: ScoredPart
    test: ScoredPart

    @property
    def names(self) -> tuple[ModelName, ...]:
        return tuple(model.name for model in self.models)


def assemble(candidates: Candidates, context: Context) -> Board:
    """Read the labels and every model's scores; what is missing or damaged is computed again.

    Raises:
        BadData: `valid` has one class only, or scores are of other rows than the labels.
        ArtifactMissing, ArtifactDamaged: scores and model of a candidate are both of no use.
    """
    split = candidates.split
    labels = context.cache.fetch(context.store, split.uri, split.sha256)
    y_valid, y_test = arrays.load(labels, "y_valid", "y_test")
    if len(np.unique(y_valid)) < 2:
        raise BadData(
            f"all {len(y_valid)} rows of valid are of one class, so that no ensemble can be chosen "
            "on them; train with another split"
        )
    context.report(0.0, f"reading scores of {counted(len(candidates.models), 'model')}")
    models, files = _files(candidates, context)
    valid = np.empty((len(models), len(y_valid)), dtype=np.float32)
    test = np.empty((len(models), len(y_test)), dtype=np.float32)
    for row, (model, file) in enumerate(zip(models, files, strict=True)):
        valid[row], test[row] = _scores(model, file, split)
    return Board(
        models=models,
        valid=_part(y_valid, valid, models),
        test=_part(y_test, test, models),
    )


def _part(y: Labels, scores: Scores, models: Sequence[TrainedModel]) -> ScoredPart:
    votes = np.empty(scores.shape, dtype=np.bool_)
    for row, model in enumerate(models):
        votes[row] = decide(scores[row], model.threshold)
    return ScoredPart(y=y, scores=scores, votes=votes)


def _files(
    candidates: Candidates, context: Context
) -> tuple[tuple[TrainedModel, ...], tuple[Path, ...]]:
    """A local copy of each model's scores; models whose file was lost come with their new one."""
    models = list(candidates.models)
    fetched = _fetch(models, candidates.split, context)
    lost = [(m, f) for m, f in zip(models, fetched, strict=True) if isinstance(f, Exception)]
    if lost:
        fresh = {m.name: m for m in restore(lost, candidates.split, context)}
        models = [fresh.get(model.name, model) for model in models]
        fetched = _fetch(models, candidates.split, context)
    files = []
    for file in fetched:
        if isinstance(file, Exception):
            raise file
        files.append(file)
    return tuple(models), tuple(files)


def _fetch(
    models: Sequence[TrainedModel], split: Split, context: Context
) -> list[Path | ArtifactMissing | ArtifactDamaged]:
    def one(model: TrainedModel) -> Path | ArtifactMissing | ArtifactDamaged:
        try:
            path = context.cache.fetch(context.store, model.scores_uri, model.scores_sha256)
            _scores(model, path, split)
        except (ArtifactMissing, ArtifactDamaged) as error:
            return error
        return path

    with ThreadPoolExecutor(_THREADS, "scores") as pool:
        return awaited(pool.submit(one, model) for model in models)


def _scores(model: TrainedModel, file: Path, split: Split) -> tuple[Scores, Scores]:
    valid, test = arrays.load(file, "valid", "test")
    expected = (split.n_valid,), (split.n_test,)
    if (valid.shape, test.shape) != expected or {valid.dtype, test.dtype} != {np.dtype("f4")}:
        raise ArtifactDamaged(
            f"{model.scores_uri} ({written(model.name)}) has scores {valid.dtype} of "
            f"{len(valid)} valid and {len(test)} test rows, not float32 of {split.n_valid} and "
            f"{split.n_test}"
        )
    return valid, test
