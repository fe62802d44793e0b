"""The fits of a train batch without the batch: a plain loop over warm processes that have the
matrix in memory and keep nothing.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.settings import load
from models import kind, weights
from models.variants import Variant
from pipeline import frames, preprocess, split
from storage import datasets
from storage.engine import make_engine, reading
from tests.matrix import apply

Fit = tuple[str, Variant]  # the model_id, and what to fit

_data = {}


@contextmanager
def loop(
    env: Mapping[str, str], dataset: str, fits: Sequence[Fit], *, processes: int
) -> Iterator[Callable[[], float]]:
    """What is called to do all fits, and tells the wall-clock seconds; `env` names the database."""
    context = multiprocessing.get_context("spawn")
    warm_ups = {model_id: (model_id, variant) for model_id, variant in reversed(fits)}
    with context.Pool(processes, initializer=_warm, initargs=(_arrays(env, dataset),)) as pool:
        pool.map(_fit_all, [list(warm_ups.values())] * processes, chunksize=1)

        def once() -> float:
            started = time.perf_counter()
            assert sum(pool.imap_unordered(_fit, fits, chunksize=1)) == len(fits)
            return time.perf_counter() - started

        yield once


def _arrays(env: Mapping[str, str], group: str) -> dict:
    """Split and prepared as a train batch without batch_param does it."""
    engine = make_engine(load({}, environ=env, file=Path("none")))
    with reading(engine) as connection:
        frame = frames.read_from(connection, datasets.read(connection, group, 1))
    engine.dispose()
    parts = split.make_split(
        frame.labels,
        test_size=0.3,
        validation_size=0.2,
        split_by="random",
        stratify=True,
        seed=42,
    )
    fitted = preprocess.fit(frame, parts.train)
    X = {n: apply(fitted, frame, getattr(parts, n)) for n in ("train", "valid", "test")}
    return {
        "train": (X["train"], frame.labels[parts.train]),
        "valid": (X["valid"], frame.labels[parts.valid]),
        "test": X["test"],
    }


def _warm(arrays: dict) -> None:
    _data.update(arrays)


def _fit_all(fits: Sequence[Fit]) -> None:
    for fit in fits:
        _fit(fit)


def _fit(fit: Fit) -> int:
    model_id, variant = fit
    estimator = kind.estimators(model_id).build(variant.params, seed=42, device="cpu")
    X, y = _data["train"]
    weight = weights.of_classes(y, variant.class_weight)
    estimator.fit(X, y, sample_weight=weight, eval_set=_data["valid"])
    kind.scores_of(estimator, _data["valid"][0])
    kind.scores_of(estimator, _data["test"])
    return 1
