"""Whether the indices of stored trees name only nodes and columns that there are.

scikit-learn and XGBoost follow them without checking.
"""

import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 1_000_000

Whole = NDArray[np.integer]


def point_inside(
    counts: Whole, left: Whole, right: Whole, feature: Whole, *, n_features: int
) -> bool:
    """Whether every index of these trees leads to something that exists.

    The nodes of all trees stand one after the other.

    `counts` (n_trees,) says how many nodes each has; `left`, `right` and `feature` (n_nodes,) are
    those of each node, the children numbered within their tree; -1 as left child makes a leaf.
    """
    nodes = np.repeat(counts, counts)
    number = np.arange(len(nodes)) - np.repeat(np.cumsum(counts) - counts, counts)
    inner = left != -1
    return bool(
        # A child comes after its parent: so no walk through the tree can go round in circles.
        np.all(left[inner] > number[inner])
        and np.all(right[inner] > number[inner])
        and np.all(left[inner] < nodes[inner])
        and np.all(right[inner] < nodes[inner])
        and np.all(feature[inner] >= 0)
        and np.all(feature[inner] < n_features)
    )
