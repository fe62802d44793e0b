import math
import warnings
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from configs import metric_names
from configs.metric_names import COUNTS, VOTE_METRICS
from models.metrics import metric
from models.scores import Metrics, auc, decide, measure

NEAR = 1e-12

# Few values, so that many scores tie; the ends of the range; and any float32 between them.
_score = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]) | st.floats(0, 1, width=32)
_rows = st.lists(st.tuples(st.integers(0, 1), _score), min_size=1, max_size=60)
_threshold = st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]) | st.floats(0, 1)


def _arrays(rows):
    y, scores = zip(*rows, strict=True)
    return np.array(y, dtype=np.int8), np.array(scores, dtype=np.float32)


def _expected(y, scores, called):
    """scikit-learn's figures where they are defined."""
    tn, fp, fn, tp = map(int, reference.confusion_matrix(y, called, labels=[0, 1]).ravel())
    wide = scores.astype(np.float64)
    found = {"tn": tn, "fp": fp, "fn": fn, "tp": tp}
    found["accuracy"] = reference.accuracy_score(y, called)
    if tp + fp:
        found["precision_score"] = reference.precision_score(y, called)
    if tp + fn:
        found["recall_score"] = reference.recall_score(y, called)
        found["pr_auc"] = reference.average_precision_score(y, wide)
    if tn + fp:
        found["specificity"] = reference.recall_score(y, called, pos_label=0)
    if tp + fp + fn:
        found["f1_score"] = reference.f1_score(y, called)
    if tp + fn and tn + fp:
        found["balanced_accuracy"] = reference.balanced_accuracy_score(y, called)
        found["auc"] = reference.roc_auc_score(y, wide)
        found["gini"] = 2 * found["auc"] - 1
        found["ks"] = max(
            abs(np.mean(wide[y == 1] >= s) - np.mean(wide[y == 0] >= s)) for s in set(wide)
        )
        if tp + fp and tn + fn:
            found["mcc"] = reference.matthews_corrcoef(y, called)
    found["brier"] = reference.brier_score_loss(y, wide, pos_label=1)
    found["log_loss"] = reference.log_loss(y, wide, labels=[0, 1])
    return found


@settings(max_examples=60, deadline=None)
@given(rows=_rows, threshold=_threshold)
@example(rows=[(0, 0.5)] * 5, threshold=0.5)
@example(rows=[(1, 0.0)] * 3 + [(0, 1.0)] * 3, threshold=0.5)
@example(rows=[(1, 0.7), (0, 0.7), (1, 0.7)], threshold=0.7)
def test_metrics_equal_those_of_scikit_learn(rows, threshold):
    y, scores = _arrays(rows)
    called = (scores >= np.float32(threshold)).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = _expected(y, scores, called)

    measured = {
        name: value
        for name, value in asdict(measure(y, scores, threshold)).items()
        if value is not None
    }

    assert measured.keys() == expected.keys()
    assert measured == pytest.approx(expected, rel=0, abs=NEAR)


def test_metrics_of_many_rows_equal_those_of_scikit_learn():
    random = np.random.default_rng(7)
    y = (random.random(20_000) < 0.2).astype(np.int8)
    scores = np.round(random.beta(2, 5, len(y)) * 0.7 + 0.3 * y * random.random(len(y)), 3)
    scores = scores.astype(np.float32)

    expected = _expected(y, scores, (scores >= np.float32(0.3)).astype(int))

    assert asdict(measure(y, scores, 0.3)) == pytest.approx(expected, rel=0, abs=NEAR)
    assert auc(y, scores) == pytest.approx(expected["auc"], rel=0, abs=NEAR)


@pytest.mark.parametrize("name", VOTE_METRICS)
def test_no_rounding_lifts_a_metric_of_decisions_beyond_its_ends(name):
    random = np.random.default_rng(1)
    counts = np.concatenate(
        [random.integers(0, most, (5000, 4)) for most in (3, 500, 1_000_000, 20_000_000)]
    )
    counts[::3, 1:3] = 0  # no mistake
    counts[1::3, ::3] = 0  # nothing but mistakes

    values = metric(name, counts)

    known = values[~np.isnan(values)]
    assert (known.min(), known.max()) == (-1 if name == "mcc" else 0, 1)


def test_ks_by_hand():
    # At or above 0.3 lie all of the three ones and two of the four zeros.
    y = np.array([1, 1, 0, 0, 1, 0, 0], dtype=np.int8)
    scores = np.array([0.9, 0.6, 0.6, 0.4, 0.3, 0.2, 0.1], dtype=np.float32)

    assert measure(y, scores, 0.5).ks == pytest.approx(1 - 2 / 4)


def test_what_is_measured_is_what_configs_names():
    """A name of configs/metric_names.py that is missing here has no formula yet, or two."""
    names = tuple(field.name for field in fields(Metrics))

    assert names == (*COUNTS, *metric_names.METRICS), "models/scores.py: Metrics"


def test_without_rows_everything_is_undefined():
    empty = measure(np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.float32), 0.5)

    assert (empty.tn, empty.fp, empty.fn, empty.tp) == (0, 0, 0, 0)
    assert set(asdict(empty).values()) == {0, None}


def test_a_threshold_cuts_as_float32_as_the_scores_do():
    seven_of_ten_trees = np.array([0.7], dtype=np.float32)

    assert float(seven_of_ten_trees[0]) < 0.7
    assert decide(seven_of_ten_trees, 0.7).tolist() == [True]
    assert measure(np.ones(1, dtype=np.int8), seven_of_ten_trees, 0.7).tp == 1


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.5, math.inf])
def test_what_is_no_probability_is_refused(score):
    with pytest.raises(ValueError, match="between 0 and 1"):
        measure(np.zeros(2, dtype=np.int8), np.array([0.5, score], dtype=np.float32), 0.5)


def test_labels_and_scores_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        measure(np.zeros(2, dtype=np.int8), np.zeros(3, dtype=np.float32), 0.5)


@pytest.mark.parametrize(("counts", "mcc"), [((10**9, 0, 0, 10**9), 1), ((0, 10**9, 10**9, 0), -1)])
def test_counts_of_a_large_bank_do_not_overflow(counts, mcc):
    assert metric("mcc", np.array(counts)) == pytest.approx(mcc, abs=NEAR)
