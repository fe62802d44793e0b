import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from configs.score_bands import HIGHEST, LOWEST
from models.bands import bands, chance, stability

ODDS = [Fraction(2) ** band for band in range(LOWEST + 1, HIGHEST + 1)]
# Where a band begins, as near as float32 comes to it, and the scores beside that.
_NEAR = np.array([odds / (1 + odds) for odds in ODDS], np.float32)
_EDGES = np.concatenate([_NEAR, *(np.nextafter(_NEAR, np.float32(side)) for side in (0, 1))])
_score = st.sampled_from([0.0, 0.5, 1.0, *_EDGES.tolist()]) | st.floats(0, 1, width=32)
_counts = st.dictionaries(st.integers(LOWEST, HIGHEST), st.integers(1, 500), min_size=1)


def _band_of(score: np.float32) -> int:
    """By the definition, in fractions: how many bands begin at its odds or below."""
    p = Fraction(float(score))
    return LOWEST + sum(p >= odds * (1 - p) for odds in ODDS)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(_score, st.integers(0, 1)), max_size=60))
@example(rows=[(edge, 1) for edge in _EDGES.tolist()])
def test_every_row_is_in_the_one_band_of_its_odds(rows):
    scores = np.array([score for score, _ in rows], np.float32)
    y = np.array([label for _, label in rows], np.int8)
    places = np.array([_band_of(score) for score in scores], int)

    found = bands(scores, y)

    assert [each.band for each in found] == sorted(set(places.tolist()))
    for each in found:
        here = places == each.band
        assert (each.n_rows, each.n_positive) == (here.sum(), y[here].sum())
        assert each.mean_score == pytest.approx(scores[here].astype(np.float64).mean(), rel=1e-12)
    unknown = bands(scores, None)
    assert [(each.band, each.n_rows) for each in unknown] == [
        (each.band, each.n_rows) for each in found
    ]
    assert {each.n_positive for each in unknown} <= {None}


def test_bands_of_everyday_scores():
    scores = np.array([0.0, 0.03, 0.06, 0.11, 0.2, 0.34, 0.5, 0.66, 0.67, 1.0], np.float32)

    assert [band for each in bands(scores, None) for band in [each.band] * each.n_rows] == [
        *(-10, -6, -4, -4, -2, -1, 0, 0, 1, 9),
    ]


def test_the_stability_index_by_hand():
    """With half a row more in each: 3/8 and 5/8 are expected, 7/8 and 1/8 observed."""
    index = stability({-1: 1, 0: 2}, {-1: 3})

    assert index == pytest.approx(math.log(7 / 3) / 2 + math.log(5) / 2, rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(one=_counts, other=_counts)
def test_the_stability_index_is_a_distance_of_shares(one, other):
    apart = stability(one, other)

    assert apart >= 0
    assert stability(other, one) == pytest.approx(apart, rel=1e-9, abs=1e-15)
    assert stability(one, one) == 0
    many = {band: 10_000 * rows for band, rows in one.items()}
    assert stability({band: 10 * rows for band, rows in many.items()}, many) < 1e-3


def test_chance_seldom_passes_what_is_called_chance():
    n, m = 3000, 1000
    degrees = HIGHEST - LOWEST
    assert 0.005 < chi2.sf(chance(n, m) / (1 / n + 1 / m), degrees) < 0.01

    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(degrees + 1, 5.0))
    drawn = [[dict(enumerate(random.multinomial(k, shares))) for k in (n, m)] for _ in range(500)]
    assert np.mean([stability(*pair) > chance(n, m) for pair in drawn]) <= 0.02
