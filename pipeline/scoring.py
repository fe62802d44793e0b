"""What a worker does to apply one trained model: fetch, load, score, measure, store."""

import time
from dataclasses import dataclass

from models import devices, kind
from models.bands import Bands, bands
from models.scores import Metrics, measure
from pipeline import run_files
from pipeline.model_run import ModelTask
from pipeline.workplace import workplace
from storage import arrays
from storage.artifacts.port import Stored
from storage.records import SplitName


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTask(ModelTask):
    """One model to apply to one matrix."""

    model: Stored
    threshold: float
    matrix: Stored
    split: SplitName
    labels: Stored | None
    """Array `y` in row order; None where nothing is known of the outcome."""

    @property
    def uri(self) -> str:
        return self.run.uri(run_files.PREDICTIONS, "scores.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scores, already in the store, their bands, and their metrics where labels are known."""

    scores: Stored
    metrics: Metrics | None
    bands: Bands
    predict_seconds: float


def score_model(task: ScoreTask) -> Scored:
    """Load, score, measure and store; the model file is verified before it is opened."""
    place = workplace(task.settings)
    matrix = arrays.open_matrix(place.fetch(task.matrix))
    library = kind.estimators(task.run.model_id)
    device = devices.best(library.CARD) if task.need.gpu else "cpu"
    with devices.minding_memory(library.CARD):
        estimator = library.load(place.fetch(task.model), device=device)
        started = time.perf_counter()
        scores = kind.scores_of(estimator, matrix)
    seconds = time.perf_counter() - started
    y = metrics = None
    if task.labels is not None:
        (y,) = arrays.load(place.fetch(task.labels), "y")
        metrics = measure(y, scores, task.threshold)
    with place.folder() as folder:
        file = folder / "scores"
        arrays.save(file, {task.split: scores})
        stored = place.put(task.uri, file)
    return Scored(scores=stored, metrics=metrics, bands=bands(scores, y), predict_seconds=seconds)
