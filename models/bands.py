"""Score bands: within each the odds of class 1, p / (1 - p), double; what lies in them, and how far
two distributions over them are apart.

Band k has the scores p with k <= log2(p / (1 - p)) < k + 1, as points of a credit scorecard count
how often odds double. The first and the last band also have all that lie beyond, 0 and 1 among
them. The grid is fixed: nothing is learned, so that any two models, batches and data sets compare.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.score_bands import HIGHEST, LOWEST
from models.kind import Labels, Scores

_N_BANDS = HIGHEST - LOWEST + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """The rows in a band, named as in dc_score_band. `n_positive` None: no outcome is known."""

    band: int
    n_rows: int
    n_positive: int | None
    mean_score: float


Bands = tuple[Band, ...]


def _least_score(band: int) -> np.float32:
    """The lowest float32 whose odds are 2 ** band or more."""
    odds = 2.0**band
    score = np.float32(odds / (1 + odds))
    rounded_down = float(score) * (1 + odds) < odds  # no product here is rounded
    return np.nextafter(score, np.float32(1)) if rounded_down else score


# Scores are compared with these: a logarithm's last digit may depend on the machine.
_BOUNDS = np.array([_least_score(band) for band in range(LOWEST + 1, HIGHEST + 1)], np.float32)


def bands(scores: Scores, y: Labels | None) -> Bands:
    """The bands that have rows, from the lowest on. Scores lie in [0, 1]; `y` holds 0 and 1."""
    places = np.searchsorted(_BOUNDS, scores, side="right")
    rows = np.bincount(places, minlength=_N_BANDS)
    totals = np.bincount(places, weights=scores, minlength=_N_BANDS)  # in float64, row by row
    ones = None if y is None else np.bincount(places[y == 1], minlength=_N_BANDS)
    return tuple(
        Band(
            band=LOWEST + place,
            n_rows=int(rows[place]),
            n_positive=None if ones is None else int(ones[place]),
            mean_score=float(totals[place] / rows[place]),
        )
        for place in np.flatnonzero(rows).tolist()
    )


def stability(expected: Mapping[int, int], observed: Mapping[int, int]) -> float:
    """The population stability index (PSI) of rows by band: the sum of (o - e) ln(o / e), e and o
    being the shares of a band in the expected and in the observed rows (Siddiqi, Credit Risk
    Scorecards, 2006). 0: the shares are the same.

    Half a row is added to each band of both, so that one which is empty in one of them alone counts
    and stays finite, as Haldane (1956) does with odds. A band that is empty in both tells nothing.
    """
    there = sorted({*expected, *observed})
    e, o = _shares(expected, there), _shares(observed, there)
    return float(np.sum((o - e) * np.log(o / e)))


def _shares(rows: Mapping[int, int], there: Sequence[int]) -> NDArray[np.float64]:
    counts = np.array([rows.get(band, 0) + 0.5 for band in there])
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def chance(n_expected: int, n_observed: int) -> float:
    """What the index hardly ever passes, once in a hundred times at most, where both sides are rows
    of the same applicants.

    There it is (1 / n_expected + 1 / n_observed) times a chi-squared of one degree of freedom less
    than there are bands with rows (Yurdakul and Naranjo, Statistical properties of the population
    stability index, 2020); this is its mean and three standard deviations, for all bands.
    """
    degrees = _N_BANDS - 1
    return (degrees + 3 * math.sqrt(2 * degrees)) * (1 / n_expected + 1 / n_observed)
