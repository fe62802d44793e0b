import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from configs.errors import BadData
from ensemble import baselines
from ensemble.blend import Blend, best_threshold
from ensemble.bootstrap import bootstrap
from ensemble.greedy import greedy
from ensemble.stack import STRENGTHS
from models.metrics import confusion, merit

BASELINES = baselines.find()
ROWS, VALID = 1200, slice(0, 600)


def applicants(seed=0, models=12):
    """Scores of models that see the truth through noise: the first clearly, the last not."""
    rng = np.random.default_rng(seed)
    labels = rng.random(ROWS) < 0.3
    noise = rng.normal(size=(models, ROWS)) * np.linspace(1, 8, models)[:, None]
    scores = 1 / (1 + np.exp(-(2.5 * labels - 1.5 + noise)))
    return scores.astype(np.float32), labels


def score(blend, scores, votes):
    return blend.meaning(blend.total(scores if blend.of == "scores" else votes))


def decide(blend, scores, votes):
    return score(blend, scores, votes) >= np.float32(blend.threshold)


def f1(decision, labels):
    return float(merit("f1_score", confusion(decision, labels)))


@pytest.mark.parametrize("method", BASELINES)
def test_a_blend_decides_better_than_its_median_model_on_rows_it_never_saw(method):
    scores, labels = applicants()
    votes = scores >= 0.5
    blend = BASELINES[method](scores[:, VALID], labels[VALID], "f1_score")

    decision = decide(blend, scores, votes)[600:]

    single = sorted(f1(vote, labels[600:]) for vote in votes[:, 600:])
    assert f1(decision, labels[600:]) > single[6] + 0.02
    assert blend.method == method


@pytest.mark.parametrize("method", ["greedy", "weighted", "stack"])
def test_a_method_that_learns_prefers_the_models_that_know(method):
    scores, labels = applicants()
    blend = BASELINES[method](scores[:, VALID], labels[VALID], "f1_score")

    assert np.argmax(blend.weights) in (0, 1)
    assert sum(blend.weights[:4]) > 2 * sum(blend.weights[8:])


@pytest.mark.parametrize("method", BASELINES)
def test_a_blend_is_learned_the_same_twice(method):
    scores, labels = applicants(1)
    learn = BASELINES[method]

    blend = learn(scores, labels, "mcc")

    assert blend == learn(scores.copy(), labels.copy(), "mcc")


@pytest.mark.parametrize("method", ["mean", "greedy", "weighted", "stack"])
@pytest.mark.parametrize("metric", ["accuracy", "f1_score", "mcc"])
def test_no_other_cut_of_a_blend_is_better_on_valid(method, metric):
    scores, labels = applicants(2, models=4)
    blend = BASELINES[method](scores, labels, metric)
    values = score(blend, scores, scores >= 0.5)

    own = merit(metric, confusion(values >= blend.threshold, labels))

    others = [merit(metric, confusion(values >= cut, labels)) for cut in np.unique(values)]
    assert own >= max(others)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20))
def test_the_best_cut_is_found_by_trying_all(rows):
    values = np.array([value for value, _ in rows]) / 5
    labels = np.array([label for _, label in rows])

    cut = best_threshold(values, labels, "accuracy")

    tried = [*np.unique(values), 2.0]
    best = max(merit("accuracy", confusion(values >= c, labels)) for c in tried)
    assert merit("accuracy", confusion(values >= cut, labels)) == best
    assert cut not in values or cut == values.min()  # between two values, so that it separates


def test_all_models_voting_is_the_majority():
    votes = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 1]], dtype=bool)
    blend = BASELINES["all"](votes.astype(np.float32), np.array([True, False, True]), "mcc")

    assert decide(blend, votes.astype(np.float32), votes).tolist() == [True, False, False]


def test_greedy_takes_the_first_of_equal_models_and_the_smallest_of_equal_bags():
    scores, labels = applicants(3, models=1)
    blend = greedy(np.repeat(scores, 5, axis=0), labels, "f1_score", steps=8)

    assert blend.weights == (1.0, 0.0, 0.0, 0.0, 0.0)


def test_greedy_keeps_the_smallest_of_equal_bags():
    labels = np.array([False, False, True, True])
    knows, guesses = [0, 0, 1, 1], [0.2, 0.5, 0.4, 0.6]  # the mean of both is as good as the one

    blend = greedy(np.array([guesses, knows]), labels, "accuracy")

    assert blend.weights == (0.0, 1.0)


def test_greedy_spreads_its_levels_between_the_least_and_the_greatest_score():
    scores, labels = applicants(11)

    narrow = greedy(scores / 256, labels, "f1_score")

    assert narrow.weights == greedy(scores, labels, "f1_score").weights


def test_greedy_is_at_least_as_good_on_valid_as_any_single_model():
    scores, labels = applicants(4)
    blend = greedy(scores, labels, "mcc")
    own = merit("mcc", confusion(decide(blend, scores, scores >= 0.5), labels))

    for row in scores.astype(np.float64):
        cut = best_threshold(row, labels, "mcc")
        # Levels are rounded while choosing.
        assert own >= merit("mcc", confusion(row >= cut, labels)) - 0.005


def test_weights_of_a_mean_are_not_negative_and_sum_to_one():
    scores, labels = applicants(5)
    for method in ("mean", "greedy", "weighted"):
        weights = BASELINES[method](scores, labels, "f1_score").weights
        assert min(weights) >= 0
        assert sum(weights) == pytest.approx(1)


def test_the_sum_of_a_stack_is_a_logit_and_its_threshold_a_probability():
    stacked = Blend(method="stack", of="scores", link="logit", weights=(1.0,), threshold=0.5)

    assert stacked.meaning(np.array([0.0, 800.0, -800.0])).tolist() == [0.5, 1.0, 0.0]
    scores, labels = applicants(10)
    learned = BASELINES["stack"](scores, labels, "f1_score")
    assert score(learned, scores, scores >= 0.5).min() < learned.threshold < 1


@pytest.mark.parametrize(("seed", "strength"), [(6, 0.001), (5, 0.1), (10, 1.0)])
def test_a_stack_has_the_penalty_under_which_every_third_row_is_likeliest(seed, strength):
    scores, labels = applicants(seed)
    scores, labels = scores[6:, :60], labels[:60]  # models that know little
    held_out = PredefinedSplit(np.where(np.arange(60) % 3 == 0, 0, -1))
    model = LogisticRegression(max_iter=5000)
    search = GridSearchCV(model, {"C": STRENGTHS}, scoring="neg_log_loss", cv=held_out)
    search.fit(scores.T.astype(np.float64), labels)
    assert search.best_params_ == {"C": strength}

    stacked = BASELINES["stack"](scores, labels, "f1_score")

    assert stacked.weights == pytest.approx(search.best_estimator_.coef_[0], abs=1e-6)
    assert stacked.intercept == pytest.approx(search.best_estimator_.intercept_[0], abs=1e-6)


def test_a_stack_of_too_few_rows_to_hold_any_out_has_the_strongest_penalty():
    scores, _ = applicants(12, models=3)
    labels = np.arange(9) == 0  # the only one is held out
    expected = LogisticRegression(C=min(STRENGTHS)).fit(scores[:, :9].T, labels)

    stacked = BASELINES["stack"](scores[:, :9], labels, "f1_score")

    assert stacked.weights == pytest.approx(expected.coef_[0], abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("upwards", [False, True])
def test_neighbouring_numbers_are_cut_between(dtype, upwards):
    # One of the two pairs has a middle that rounds to the lower number.
    low = np.nextafter(dtype(0.3), dtype(1)) if upwards else dtype(0.3)
    high = np.nextafter(low, dtype(1))
    values = np.array([high, low, high, low], dtype)

    cut = best_threshold(values, np.array([True, False, True, False]), "f1_score")

    assert (values >= dtype(cut)).tolist() == [True, False, True, False]


@pytest.mark.parametrize("method", ["mean", "greedy", "weighted", "stack"])
def test_what_cannot_be_learned_from_is_refused(method):
    scores, labels = applicants(6, models=2)
    learn = BASELINES[method]
    with pytest.raises(BadData, match="same label"):
        learn(scores, np.zeros_like(labels), "f1_score")
    with pytest.raises(BadData, match="do not fit"):
        learn(scores[:, 1:], labels, "f1_score")
    scores[0, 0] = np.nan
    with pytest.raises(BadData, match="not numbers"):
        learn(scores, labels, "f1_score")


def test_a_blend_of_other_models_is_refused():
    scores, labels = applicants(7, models=3)
    blend = BASELINES["mean"](scores, labels, "f1_score")
    with pytest.raises(BadData, match="3 models, not 2"):
        decide(blend, scores[:2], scores[:2] >= 0.5)


def test_the_bootstrap_spreads_as_drawing_rows_does():
    scores, labels = applicants(8, models=2)
    decision = scores[0] >= 0.5
    quick = bootstrap({"a": decision, "b": scores[1] >= 0.5}, labels, "f1_score", seed=1)

    rng = np.random.default_rng(2)
    rows = rng.integers(0, ROWS, (2000, ROWS))
    slow = np.array([f1(decision[r], labels[r]) for r in rows])

    low, high = quick.interval("a")
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.006)
    assert low < f1(decision, labels) < high


def test_the_bootstrap_is_paired_and_repeats():
    scores, labels = applicants(9, models=1)
    methods = {"a": scores[0] >= 0.5, "same": scores[0] >= 0.5, "none": np.zeros(ROWS, bool)}
    spread = bootstrap(methods, labels, "f1_score", seed=3)

    assert spread.difference("a", "same") == (0.0, 0.0)
    assert spread.difference("a", "none") == spread.interval("a")
    again = bootstrap(methods, labels, "f1_score", seed=3)
    assert np.array_equal(spread.values, again.values)


def test_a_metric_that_is_never_defined_has_no_interval():
    labels = np.array([True, False])
    spread = bootstrap({"none": np.zeros(2, bool)}, labels, "precision_score", seed=1)

    assert spread.interval("none") is None
    with pytest.raises(BadData, match="cannot resample 0 rows"):
        bootstrap({"none": labels[:0]}, labels[:0], "mcc", seed=1)
