import numpy as np
import pytest

from models import bootstrap
from models.scores import from_counts


def rows(seed=0, n=400):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(np.int8)
    return y, (rng.random(n) < 0.2 + 0.5 * y), (rng.random(n) < 0.2 + 0.4 * y)


def f1_of(y, called):
    tp, fp = np.sum(called & (y == 1)), np.sum(called & (y == 0))
    return from_counts(np.sum(y == 0) - fp, fp, np.sum(y == 1) - tp, tp).f1_score


def test_drawing_counts_gives_the_interval_that_drawing_rows_gives():
    y, called, base = rows()
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(2000)]
    metric = np.quantile([f1_of(y[d], called[d]) for d in draws], [0.025, 0.975])
    gains = [f1_of(y[d], called[d]) - f1_of(y[d], base[d]) for d in draws]

    alone = bootstrap.of_metric(y, called, "f1_score", seed=2)
    gain = bootstrap.of_gain(y, called, base, "f1_score", seed=2)

    assert [alone.low, alone.high] == pytest.approx(metric, abs=0.01)
    assert [gain.low, gain.high] == pytest.approx(np.quantile(gains, [0.025, 0.975]), abs=0.015)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    y, called, _ = rows()
    one = bootstrap.of_metric(y, called, "mcc", seed=5)

    assert one == bootstrap.of_metric(y, called, "mcc", seed=5)
    assert one != bootstrap.of_metric(y, called, "mcc", seed=6)


def test_a_decision_gains_nothing_over_itself():
    y, called, _ = rows()
    assert bootstrap.of_gain(y, called, called, "f1_score", seed=1) == bootstrap.Interval(0, 0)


def test_what_is_undefined_in_every_draw_has_no_interval():
    nobody = np.zeros(50, dtype=bool)
    y = np.zeros(50, dtype=np.int8)

    assert bootstrap.of_metric(y, nobody, "f1_score", seed=1) == bootstrap.Interval(None, None)
    assert bootstrap.of_metric(y[:0], nobody[:0], "accuracy", seed=1).low is None
