"""What a worker does to apply one trained model: fetch, load, score, measure, store."""

from dataclasses import dataclass

from models.bands import Bands, bands
from models.scores import Metrics, measure
from pipeline import run_files
from pipeline.computing import Application, apply, where_due
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
    with place.folder() as folder:
        model = place.fetch(task.model)
        matrix = place.fetch(task.matrix)  # last: a full cache drops what was fetched long ago
        files = Application(
            model_id=task.run.model_id,
            card=task.need.gpu > 0,
            matrix=matrix,
            model=model,
            scores=folder / "scores",
            parts=((task.split, len(arrays.open_matrix(matrix))),),
        )
        seconds = where_due(apply, files, task.need)
        (scores,) = arrays.load(files.scores, task.split)
        y = metrics = None
        if task.labels is not None:
            (y,) = arrays.load(place.fetch(task.labels), "y")
            metrics = measure(y, scores, task.threshold)
        stored = place.put(task.uri, files.scores)
    return Scored(scores=stored, metrics=metrics, bands=bands(scores, y), predict_seconds=seconds)
