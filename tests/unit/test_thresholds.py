import dataclasses
import re
from math import isclose

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs.errors import BadData, BadParameter
from configs.metric_names import VOTE_METRICS
from models.scores import decide, measure
from models.thresholds import Best, Cheapest, Fixed, choose, parse
from pipeline.modes.train import Parameters
from pipeline.parameters import parse as read_parameters

_score = st.sampled_from([0.0, 0.2, 0.5, 1.0]) | st.floats(0, 1, width=32)
_rows = st.lists(st.tuples(st.integers(0, 1), _score), min_size=1, max_size=30)


def _arrays(rows):
    y, scores = zip(*rows, strict=True)
    return np.array(y, dtype=np.int8), np.array(scores, dtype=np.float32)


def _every_cut(scores):
    """Highest first: none called 1, then one more distinct score each time."""
    highest = np.nextafter(scores.max(), np.float32(np.inf))
    return [float(highest), *(float(s) for s in sorted(set(scores.tolist()), reverse=True))]


_EQUAL_BUT_FOR_ROUNDING = [(0, 0.2), (0, 0.5), *[(1, 0.0)] * 2, *[(1, 0.2)] * 3, (1, 0.5)]


@settings(max_examples=40, deadline=None)
@given(rows=_rows, metric=st.sampled_from(VOTE_METRICS))
@example(rows=_EQUAL_BUT_FOR_ROUNDING, metric="mcc")
def test_the_best_of_all_cuts_is_chosen_and_of_equal_ones_the_highest(rows, metric):
    y, scores = _arrays(rows)
    values = {cut: getattr(measure(y, scores, cut), metric) for cut in _every_cut(scores)}
    defined = [value for value in values.values() if value is not None]
    if not defined:
        with pytest.raises(BadData, match=metric):
            choose(Best(metric), y, scores)
        return

    chosen = choose(Best(metric), y, scores)

    best = [c for c, v in values.items() if v is not None and isclose(v, max(defined))]
    assert chosen == best[0]


@settings(max_examples=60, deadline=None)
@given(rows=_rows, cost_fn=st.integers(1, 9), cost_fp=st.integers(1, 9))
def test_the_cheapest_of_all_cuts_is_chosen_and_of_equal_ones_the_highest(rows, cost_fn, cost_fp):
    y, scores = _arrays(rows)
    costs = {}
    for cut in _every_cut(scores):
        counts = measure(y, scores, cut)
        costs[cut] = cost_fn * counts.fn + cost_fp * counts.fp

    chosen = choose(Cheapest(cost_fn, cost_fp), y, scores)

    assert chosen == min(costs, key=costs.get)


@settings(max_examples=60, deadline=None)
@given(rows=_rows)
def test_a_chosen_threshold_cuts_the_same_after_it_was_stored_as_a_double(rows):
    y, scores = _arrays(rows)

    chosen = choose(Cheapest(2, 1), y, scores)

    assert float(np.float32(chosen)) == chosen
    assert np.array_equal(decide(scores, chosen), scores.astype(np.float64) >= chosen)


def test_costs_that_only_rounding_sets_apart_are_equal():
    y = np.array([1, 1, 1, 0], dtype=np.int8)
    scores = np.array([0.2, 0.2, 0.2, 0.2], dtype=np.float32)

    # Three misses or one false alarm, so the higher cut wins: no row is called 1.
    for costs in ({"costFn": 0.1, "costFp": 0.3}, {"costFn": 1, "costFp": 3}):
        assert not decide(scores, choose(parse(costs), y, scores)).any()


def test_a_costly_miss_lowers_the_threshold():
    y = np.array([0, 0, 0, 1, 0, 1], dtype=np.int8)
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=np.float32)

    assert choose(parse({"costFn": 1, "costFp": 5}), y, scores) == float(np.float32(0.6))
    assert choose(parse({"costFn": 5, "costFp": 1}), y, scores) == float(np.float32(0.4))


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        (0.5, Fixed(0.5)),
        ("0.35", Fixed(0.35)),
        (0, Fixed(0.0)),
        (1, Fixed(1.0)),
        ({"metric": "f1_score"}, Best("f1_score")),
        ({"costFn": "5", "costFp": 1}, Cheapest(5.0, 1.0)),
    ],
)
def test_what_is_allowed_is_read(value, spec):
    assert parse(value) == spec
    assert dataclasses.asdict(parse(value)) == dataclasses.asdict(spec)


@pytest.mark.parametrize(
    "value",
    [
        1.01,
        -0.1,
        True,
        None,
        "half",
        "nan",
        [0.5],
        {},
        {"metric": "auc"},
        {"metric": 1},
        {"metric": "f1_score", "costFn": 1},
        {"costFn": 1},
        {"costFn": 0, "costFp": 1},
        {"costFn": -1, "costFp": 1},
        {"costFn": "much", "costFp": 1},
        {"costFn": 10**400, "costFp": 1},
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(value):
    with pytest.raises(BadParameter, match=r"threshold = .* allowed: .*f1_score.*costFn"):
        parse(value)


def test_a_cut_that_is_cheaper_by_more_than_rounding_is_chosen():
    y, scores = np.array([1, 0], np.int8), np.array([0.4, 0.6], np.float32)

    # To call both 1 costs 1; to call neither 1 costs a little more.
    assert choose(Cheapest(1 + 1e-12, 1), y, scores) == np.float32(0.4)


def test_a_metric_that_begins_as_another_is_taken_for_it():
    said = r'^batch_param: threshold = {"metric": "f1"} is not allowed; did you mean f1_score\?'
    with pytest.raises(BadParameter, match=said):
        parse({"metric": "f1"})


@pytest.mark.parametrize("name", ["f1_score", "f1"])
def test_a_metric_by_its_name_alone_is_told_how_it_is_written(name):
    said = f'threshold = "{name}" is not allowed; did you mean {{"metric": "f1_score"}}? allowed: '
    with pytest.raises(BadParameter, match=re.escape(said)):
        read_parameters(f'{{"threshold": "{name}"}}', Parameters)
    assert read_parameters('{"threshold": " 0.25 "}', Parameters).threshold == 0.25


def test_a_given_threshold_needs_no_valid_rows_but_a_chosen_one_does():
    nothing = np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.float32)

    assert choose(Fixed(0.4), *nothing) == 0.4
    with pytest.raises(BadData, match="no valid rows"):
        choose(Cheapest(1, 1), *nothing)


@pytest.mark.parametrize(
    ("y", "words"), [([0, 1, 0], "whose scores are all equal"), ([0, 0, 0], "only one class")]
)
def test_a_metric_that_no_cut_defines_is_an_error_that_says_why(y, words):
    scores = np.full(3, 0.25, dtype=np.float32)

    with pytest.raises(BadData, match=f"mcc is undefined on valid, .*{words}"):
        choose(Best("mcc"), np.array(y, dtype=np.int8), scores)
