"""What tasks compute, from files to files: a model from a matrix, scores from both. It needs no
store and no settings, so that another process may do it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models import devices, kind, resampling, thresholds, weights
from models.bands import Bands, bands
from models.scores import Metrics, measure
from models.variants import Variant
from pipeline.executor import Need, apart
from storage import arrays

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """`card`: whether it may use one. `matrix` is read, `model` written by a fit, else read; scores
    are written, float32, each part by its name.
    """

    model_id: str
    card: bool
    matrix: Path
    model: Path
    scores: Path


C = TypeVar("C", bound=Computation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit(Computation):
    """One variant to train. `split` has the labels of the matrix's rows: training part, then valid,
    then test.
    """

    variant: Variant
    threshold: thresholds.Spec
    seed: int
    split: Path


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
class Application(Computation):
    """One model to apply. `parts`: name and number of rows, in the order of the matrix's rows."""

    parts: tuple[tuple[str, int], ...]


def where_due(function: Callable[[C], R], computation: C, need: Need) -> R:
    """Call it here, or apart if that is the need. What has a card stays in this process: only so
    can fits that share a card also share its memory.
    """
    if need.apart and not (computation.card and devices.count()):
        return apart(computation.model_id, function, computation)
    return function(computation)


def fit(files: Fit) -> Measured:
    """Train and measure one variant, and leave model and scores in files.

    The training part alone is resampled and weighted; the threshold is chosen on valid; test is
    only measured.
    """
    y_train, y_valid, y_test = arrays.load(files.split, "y_train", "y_valid", "y_test")
    matrix = arrays.open_matrix(files.matrix)
    X_train = matrix[: len(y_train)]
    X_valid = matrix[len(y_train) : len(y_train) + len(y_valid)]
    X_test = matrix[len(y_train) + len(y_valid) :]

    variant = files.variant
    # Before the clock starts, for the first of a kind imports its libraries.
    library = kind.estimators(files.model_id)
    resample = resampling.find(variant.resampling)
    started = time.perf_counter()
    X_fit, y_fit = resample(X_train, y_train, variant.sampling_strategy, seed=files.seed)
    device = devices.best(library.CARD) if files.card else "cpu"
    with devices.minding_memory(library.CARD):
        estimator = library.build(variant.params, seed=files.seed, device=device).fit(
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
    estimator.save(files.model)
    arrays.save(files.scores, {"valid": s_valid, "test": s_test})
    threshold = thresholds.choose(files.threshold, y_valid, s_valid)
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


def apply(files: Application) -> float:
    """Score each part by itself, as in training, and leave the scores in a file; return the seconds
    that it took without loading the model.
    """
    matrix = arrays.open_matrix(files.matrix)
    library = kind.estimators(files.model_id)
    device = devices.best(library.CARD) if files.card else "cpu"
    named, start = {}, 0
    with devices.minding_memory(library.CARD):
        estimator = library.load(files.model, device=device)
        started = time.perf_counter()
        for name, rows in files.parts:
            named[name] = kind.scores_of(estimator, matrix[start : start + rows])
            start += rows
    seconds = time.perf_counter() - started
    arrays.save(files.scores, named)
    return seconds
