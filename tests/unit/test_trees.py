"""Borders of what trees may point at."""

import numpy as np
import pytest

from models.trees import point_inside

COUNTS = np.array([3, 1, 3])  # a split, a leaf alone, a split
LEFT = np.array([1, -1, -1, -1, 1, -1, -1])
RIGHT = np.array([2, -1, -1, -1, 2, -1, -1])
FEATURE = np.array([1, -2, -2, -2, 0, -2, -2])


def inside(left=LEFT, right=RIGHT, feature=FEATURE):
    return point_inside(COUNTS, left, right, feature, n_features=2)


def with_root(array, tree, value):
    changed = array.copy()
    changed[{0: 0, 2: 4}[tree]] = value
    return changed


def test_children_within_their_tree_and_columns_that_there_are_do():
    assert inside()
    assert inside(left=RIGHT, right=LEFT)


@pytest.mark.parametrize("tree", [0, 2])
@pytest.mark.parametrize("child", [-2, 0, 3])
def test_no_child_is_its_own_parent_nor_a_node_of_another_tree(tree, child):
    assert not inside(left=with_root(LEFT, tree, child))
    assert not inside(right=with_root(RIGHT, tree, child))


@pytest.mark.parametrize("column", [-1, 2])
def test_no_split_is_by_a_column_that_is_not_there(column):
    assert not inside(feature=with_root(FEATURE, 2, column))
