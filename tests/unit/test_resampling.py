import numpy as np
import pytest

from configs.errors import BadData, BadParameter
from models import resampling
from models.resampling import METHOD, check

METHODS = [method for method in METHOD.words if method != "none"]
SYNTHETIC = ["smote", "adasyn", "smoteenn", "smotetomek"]


def _part(ones, zeros, seed=1):
    """Two overlapping clouds in four columns; rows of both classes mixed."""
    random = np.random.default_rng(seed)
    y = np.array([1] * ones + [0] * zeros, dtype=np.int8)
    X = random.normal(size=(len(y), 4)) + y[:, None]
    order = random.permutation(len(y))
    return X[order].astype(np.float32), y[order]


def resample(X, y, method, strategy, *, seed):
    return resampling.find(method)(X, y, strategy, seed=seed)


def _counts(y):
    return int(np.sum(y == 0)), int(np.sum(y == 1))


def test_none_returns_the_rows_themselves():
    X, y = _part(10, 40)

    X_new, y_new = resample(X, y, "none", None, seed=1)

    assert X_new is X
    assert y_new is y


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_rows_and_the_input_stays(method):
    X, y = _part(40, 160)
    before = X.copy(), y.copy()
    for array in (X, y):
        array.setflags(write=False)  # as a memory-mapped matrix

    first = resample(X, y, method, None, seed=5)
    again = resample(X, y, method, None, seed=5)

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].dtype == np.float32
    assert first[1].dtype == np.int8
    assert first[0].shape == (len(first[1]), 4)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_rows(method):
    X, y = _part(40, 160)

    one, other = (resample(X, y, method, None, seed=seed)[0] for seed in (1, 2))

    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("method", "strategy", "counts"),
    [
        ("under", None, (40, 40)),
        ("over", None, (160, 160)),
        ("smote", None, (160, 160)),
        ("under", 0.5, (80, 40)),
        ("over", 0.5, (160, 80)),
        ("smote", 0.5, (160, 80)),
        ("over", "minority", (160, 160)),
        ("under", "majority", (40, 40)),
    ],
)
def test_the_strategy_is_the_ratio_that_results(method, strategy, counts):
    X, y = _part(40, 160)

    assert _counts(resample(X, y, method, strategy, seed=1)[1]) == counts


@pytest.mark.parametrize("method", SYNTHETIC)
def test_the_rarer_class_may_be_the_zeros(method):
    X, y = _part(40, 160)

    zeros, ones = _counts(resample(X, (1 - y).astype(np.int8), method, None, seed=1)[1])

    assert zeros > 40
    assert ones <= 160


@pytest.mark.parametrize("rare", [2, 3, 5])
@pytest.mark.parametrize("method", ["smote", "smotetomek"])
def test_fewer_rare_rows_than_neighbours_are_enough(method, rare):
    X, y = _part(rare, 60)

    assert _counts(resample(X, y, method, None, seed=1)[1])[1] > 50


@pytest.mark.parametrize("method", SYNTHETIC)
def test_one_rare_row_has_no_neighbour(method):
    X, y = _part(1, 60)

    with pytest.raises(BadData, match=f"{method} needs 2 rows .* use over"):
        resample(X, y, method, None, seed=1)


@pytest.mark.parametrize("method", ["under", "over"])
def test_one_rare_row_can_be_drawn(method):
    X, y = _part(1, 60)

    zeros, ones = _counts(resample(X, y, method, None, seed=1)[1])

    assert zeros == ones


@pytest.mark.parametrize("method", METHODS)
def test_one_class_cannot_be_resampled(method):
    X, _ = _part(0, 20)

    with pytest.raises(BadData, match="only one class"):
        resample(X, np.zeros(20, dtype=np.int8), method, None, seed=1)


@pytest.mark.parametrize("method", METHODS)
def test_a_ratio_below_the_one_there_is_cannot_be_reached(method):
    X, y = _part(40, 160)

    with pytest.raises(BadParameter, match=r"samplingStrategy = 0.1 .* 0.2500"):
        resample(X, y, method, 0.1, seed=1)


def test_synthesis_that_finds_no_borderline_says_so():
    # Clouds far apart: no rare row has a common neighbour, from which ADASYN would learn how many.
    X, y = _part(20, 60)

    with pytest.raises(BadData, match="resampling = adasyn"):
        resample(X + 100 * y[:, None].astype(np.float32), y, "adasyn", None, seed=1)


def test_cleaning_that_leaves_one_class_says_so():
    # Every rare row lies among common ones, so the cleaning takes all of them away.
    X, y = _part(3, 6)
    X[:] = np.arange(len(y), dtype=np.float32)[:, None] % 2

    with pytest.raises(BadData, match="resampling = smoteenn"):
        resample(X, y, "smoteenn", 0.5, seed=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "strategy", ["auto", "minority", "majority", "not minority", "not majority", "all"]
)
def test_a_word_either_resamples_to_equal_parts_or_is_refused_before_any_row_is_read(
    method, strategy
):
    check("none", strategy)
    absurd = {"under": ("minority", "not majority")}.get(method, ("majority", "not minority"))
    if strategy in absurd:
        with pytest.raises(
            BadParameter, match=f'"{strategy}" does not go .* "auto", .* or a ratio'
        ):
            check(method, strategy)
        return
    check(method, strategy)
    X, y = _part(40, 160)

    resampled, by_default = (
        _counts(resample(X, y, method, s, seed=1)[1]) for s in (strategy, None)
    )

    assert resampled == by_default != _counts(y)
