"""What a worker does to train one variant: fetch, fit, score, measure, store."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from configs.helpers import awaited
from models import kind, thresholds
from models.variants import Variant
from pipeline import run_files
from pipeline.computing import Fit, Measured, fit, where_due
from pipeline.executor import computed
from pipeline.model_run import ModelTask
from pipeline.workplace import workplace
from storage.artifacts.port import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTask(ModelTask):
    """One variant to train."""

    variant: Variant
    threshold: thresholds.Spec
    seed: int
    matrix: Stored
    """Prepared rows: training part, then valid, then test."""
    split: Stored
    """Labels of the three parts, in the same order."""

    def uri(self, ending: str) -> str:
        return self.run.uri(run_files.MODELS, ending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trained variant, already in the store. Scores are float32, in split order."""

    model: Stored
    format: str
    scores: Stored
    measured: Measured


def fit_variant(task: FitTask) -> Fitted:
    """Train, store and measure one variant."""
    place = workplace(task.settings)
    form = kind.find(task.run.model_id).FORMAT
    with place.folder() as folder:
        files = Fit(
            model_id=task.run.model_id,
            card=task.need.gpu > 0,
            split=place.fetch(task.split),
            matrix=place.fetch(task.matrix),  # last: a full cache drops what was fetched long ago
            model=folder / "model",
            scores=folder / "scores",
            variant=task.variant,
            threshold=task.threshold,
            seed=task.seed,
        )
        measured = where_due(fit, files, task.need)  # leaves nothing of them in memory
        computed()
        with ThreadPoolExecutor(2) as pool:  # the store is slow to confirm, not busy
            sent = (task.uri(form), files.model), (task.uri("scores.safetensors"), files.scores)
            model, scores = awaited(pool.submit(place.put, *each) for each in sent)
    return Fitted(model=model, format=form, scores=scores, measured=measured)
