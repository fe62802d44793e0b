"""What a worker does to train one variant: map the matrix, fit, score, measure, store."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from configs.helpers import awaited
from models import devices, kind, resampling, thresholds, weights
from models.bands import Bands, bands
from models.scores import Metrics, measure
from models.variants import Variant
from pipeline import run_files
from pipeline.executor import computed
from pipeline.model_run import ModelTask
from pipeline.workplace import Workplace, workplace
from storage import arrays
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
class Measured:
    """How a variant did, at a threshold chosen on valid."""

    threshold: float
    valid: Metrics
    test: Metrics
    valid_bands: Bands
    test_bands: Bands
    fit_seconds: float
    predict_seconds: float
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trained variant, already in the store. Scores are float32, in split order."""

    model: Stored
    format: str
    scores: Stored
    measured: Measured


def fit_variant(task: FitTask) -> Fitted:
    """Train, store and measure one variant.

    The training part alone is resampled and weighted; the threshold is chosen on valid; test is
    only measured.
    """
    place = workplace(task.settings)
    form = kind.find(task.run.model_id).FORMAT
    with place.folder() as folder:
        model_file, scores_file = folder / "model", folder / "scores"
        measured = _fit(task, place, model_file, scores_file)
        computed()
        with ThreadPoolExecutor(2) as pool:  # the store is slow to confirm, not busy
            files = (task.uri(form), model_file), (task.uri("scores.safetensors"), scores_file)
            model, scores = awaited(pool.submit(place.put, *each) for each in files)
    return Fitted(model=model, format=form, scores=scores, measured=measured)


def _fit(task: FitTask, place: Workplace, model_file: Path, scores_file: Path) -> Measured:
    """Leave model and scores in files, and nothing of them in memory."""
    y_train, y_valid, y_test = arrays.load(place.fetch(task.split), "y_train", "y_valid", "y_test")
    matrix = arrays.open_matrix(place.fetch(task.matrix))
    X_train = matrix[: len(y_train)]
    X_valid = matrix[len(y_train) : len(y_train) + len(y_valid)]
    X_test = matrix[len(y_train) + len(y_valid) :]

    variant = task.variant
    # Before the clock starts, for the first of a kind imports its libraries.
    library = kind.estimators(task.run.model_id)
    resample = resampling.find(variant.resampling)
    started = time.perf_counter()
    X_fit, y_fit = resample(X_train, y_train, variant.sampling_strategy, seed=task.seed)
    device = devices.best(library.CARD) if task.need.gpu else "cpu"
    with devices.minding_memory(library.CARD):
        estimator = library.build(variant.params, seed=task.seed, device=device).fit(
            X_fit,
            y_fit,
            sample_weight=weights.of_classes(y_fit, variant.class_weight),
            eval_set=(X_valid, y_valid),
        )
        fitted = time.perf_counter()
        # Each part is scored by itself: the last bit of a matrix product may depend on its
        # height, and predict must find the same scores again.
        s_valid = kind.scores_of(estimator, X_valid)
        s_test = kind.scores_of(estimator, X_test)
    predicted = time.perf_counter()
    estimator.save(model_file)
    arrays.save(scores_file, {"valid": s_valid, "test": s_test})
    threshold = thresholds.choose(task.threshold, y_valid, s_valid)
    return Measured(
        threshold=threshold,
        valid=measure(y_valid, s_valid, threshold),
        test=measure(y_test, s_test, threshold),
        valid_bands=bands(s_valid, y_valid),
        test_bands=bands(s_test, y_test),
        fit_seconds=fitted - started,
        predict_seconds=predicted - fitted,
        device=device,
    )
