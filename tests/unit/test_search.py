import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadData, BadParameter
from configs.metric_names import VOTE_METRICS
from ensemble.rule import Rule
from ensemble.search import (
    BINS,
    Partial,
    Search,
    edges,
    merge,
    missing,
    ranges,
    search_range,
    summarise,
)
from ensemble.votes import count, pack
from models.metrics import merit, metric

RULE = Rule.majority(5, 3)


@pytest.fixture(scope="module")
def parts():
    rng = np.random.default_rng(0)
    labels = rng.random(150) < 0.3
    votes = (rng.random((12, 150)) < 0.25) ^ (labels & (rng.random((12, 150)) < 0.6))
    return [pack(votes[:, :70], labels[:70]), pack(votes[:, 70:], labels[70:])]


def same(left: Partial, right: Partial) -> bool:
    arrays = zip(left.to_arrays().values(), right.to_arrays().values(), strict=True)
    return all(np.array_equal(a, b) for a, b in arrays)


@pytest.mark.parametrize("name", VOTE_METRICS)
def test_the_best_are_those_that_sorting_all_would_give(parts, name):
    search = Search(rule=RULE, seed=1, metric=name, keep=20)
    counts = count(parts, RULE, 1, 1, 2001)
    merits = merit(name, counts[0])
    order = sorted(range(2000), key=lambda i: (-merits[i], i))[:20]

    best = search_range(parts, search, 1, 2001)

    assert best.numbers.tolist() == [i + 1 for i in order]
    assert np.array_equal(best.counts, counts[:, order].transpose(1, 0, 2))
    assert best.ranges.tolist() == [[1, 2001]]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 700),
    st.integers(1, 400),
    st.integers(1, 900),
    st.sampled_from(VOTE_METRICS),
    st.randoms(use_true_random=False),
)
def test_the_result_does_not_depend_on_the_ranges_nor_on_their_order(size, keep, end, name, dice):
    parts = some_parts()
    search = Search(rule=RULE, seed=2, metric=name, keep=keep)
    whole = search_range(parts, search, 1, end + 1)
    pieces = [search_range(parts, search, *cut) for cut in ranges(1, end + 1, size)]
    dice.shuffle(pieces)
    while len(pieces) > 1:  # in any grouping
        taken = [pieces.pop() for _ in range(min(len(pieces), dice.randint(2, 4)))]
        pieces.insert(dice.randint(0, len(pieces)), merge(taken))

    assert same(whole, pieces[0])


def some_parts():
    rng = np.random.default_rng(1)
    return [pack(rng.random((9, 40)) < 0.4, rng.random(40) < 0.4) for _ in range(2)]


def test_of_equal_ensembles_the_lower_number_is_better():
    part = pack(np.ones((6, 10), dtype=bool), np.arange(10) < 5)  # all ensembles are the same
    search = Search(rule=RULE, seed=1, metric="accuracy", keep=7)
    pieces = [search_range([part], search, *cut) for cut in ranges(1, 101, 10)]
    random.Random(0).shuffle(pieces)

    assert merge(pieces).numbers.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_an_undefined_metric_is_the_worst():
    counts = np.array([[[5, 0, 5, 0], [0, 5, 5, 0], [5, 0, 4, 1]]])  # precision: -, 0, 1
    search = Search(rule=RULE, seed=1, metric="precision_score", keep=3)
    part = pack(np.ones((6, 10), dtype=bool), np.arange(10) < 5)

    best = summarise([part], search, 1, counts)

    assert best.numbers.tolist() == [3, 2, 1]
    assert best.histograms[0, 1, BINS] == 1


def test_histograms_count_every_ensemble_where_its_metric_is(parts):
    search = Search(rule=RULE, seed=1, metric="mcc", keep=3)
    counts = count(parts, RULE, 1, 1, 501)
    found = search_range(parts, search, 1, 501)

    assert found.histograms.sum(axis=-1).tolist() == [[500] * len(VOTE_METRICS)] * 2
    for part, table in zip(counts, found.histograms, strict=True):
        for name, row in zip(VOTE_METRICS, table, strict=True):
            values = metric(name, part)
            known = values[~np.isnan(values)]
            assert row[BINS] == len(values) - len(known)
            borders = edges(name)
            places = np.minimum(np.searchsorted(borders, known, side="right") - 1, BINS - 1)
            assert np.array_equal(row[:BINS], np.bincount(places, minlength=BINS))
            assert (borders[0], borders[-1]) == (-1.0 if name == "mcc" else 0.0, 1.0)


def test_a_part_survives_as_plain_arrays_and_belongs_to_one_search(parts):
    search = Search(rule=RULE, seed=1, metric="mcc", keep=3)
    found = search_range(parts, search, 1, 50)

    assert same(found, Partial.from_arrays(found.to_arrays(), parts, search))
    other = Search(rule=RULE, seed=2, metric="mcc", keep=3)
    with pytest.raises(BadData, match="another search"):
        Partial.from_arrays(found.to_arrays(), parts, other)
    with pytest.raises(BadData, match="another search"):
        Partial.from_arrays(found.to_arrays(), parts[::-1], search)


def test_parts_that_overlap_or_belong_to_other_searches_are_not_merged(parts):
    search = Search(rule=RULE, seed=1, metric="mcc", keep=3)
    found = search_range(parts, search, 1, 50)

    with pytest.raises(ValueError, match="overlap"):
        merge([found, search_range(parts, search, 49, 60)])
    with pytest.raises(ValueError, match="different searches"):
        merge([found, search_range(parts[:1], search, 50, 60)])
    apart = merge([search_range(parts, search, 70, 80), found])
    assert apart.ranges.tolist() == [[1, 50], [70, 80]]


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ([], [(1, 5), (5, 9), (9, 11)]),
        ([(5, 9)], [(1, 5), (9, 11)]),
        ([(9, 11), (1, 3)], [(3, 7), (7, 9)]),
        ([(1, 11)], []),
    ],
)
def test_what_is_missing_after_a_crash_is_cut_anew(done, expected):
    assert list(missing(10, done, 4)) == expected


@pytest.mark.parametrize(
    ("metric_name", "keep", "message"),
    [("auc", 3, "metric is 'auc'; allowed are accuracy"), ("mcc", 0, "keep is 0")],
)
def test_a_search_that_cannot_be_made_is_refused(parts, metric_name, keep, message):
    with pytest.raises(BadParameter, match=message):
        search_range(parts, Search(rule=RULE, seed=1, metric=metric_name, keep=keep), 1, 5)
