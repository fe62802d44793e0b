import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from models.weights import for_stopping, of_classes


def _labels(zeros, ones):
    return np.array([0] * zeros + [1] * ones, dtype=np.int8)


@pytest.mark.parametrize(("zeros", "ones"), [(30, 10), (9, 1), (1, 9)])
def test_balanced_weights_are_those_of_scikit_learn(zeros, ones):
    y = _labels(zeros, ones)

    assert of_classes(y, "balanced") == pytest.approx(compute_sample_weight("balanced", y))


def test_given_weights_go_to_their_classes():
    assert of_classes(_labels(2, 1), {"0": 1.0, "1": 5.0}).tolist() == [1, 1, 5]


def test_no_class_weight_is_no_weight():
    assert of_classes(_labels(2, 1), None) is None


def test_valid_is_weighed_as_training_is():
    train, valid = _labels(50, 50), _labels(80, 20)

    weight = for_stopping(train, None, valid)

    assert np.average(valid, weights=weight) == pytest.approx(0.5)
    assert weight.mean() == pytest.approx(1)


def test_class_weights_count_as_rows_do():
    train, valid = _labels(80, 20), _labels(80, 20)

    weight = for_stopping(train, of_classes(train, {"0": 1.0, "1": 4.0}), valid)

    assert np.average(valid, weights=weight) == pytest.approx(0.5)


def test_valid_rows_of_one_class_show_nothing():
    assert for_stopping(_labels(8, 2), None, _labels(5, 0)) is None
    assert for_stopping(_labels(8, 2), None, _labels(0, 5)) is None
    assert for_stopping(_labels(8, 2), None, _labels(0, 0)) is None
