"""Stacking (Wolpert, 1992): a logistic regression learns how to combine the models' scores."""

import numpy as np
import numpy.typing as npt

from configs import plugins
from ensemble.blend import Blend, Labels, Scores, check, cut

with plugins.without("pandas"):  # it takes 65 MB, for frames that never come here
    from sklearn.linear_model import LogisticRegression

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Inverses of the L2 penalty to choose from. Hundreds of models say nearly the same, so that a
weak penalty fits noise."""
HELD_OUT = 3
"""Every third row is held out to choose by."""


def stack(scores: Scores, labels: Labels, metric: str) -> Blend:
    """Weights of any sign and an intercept, cut where `metric` is best. The sum is a logit.
    scores: (models, rows) of valid.

    The penalty is the one under which rows held out are likeliest; then all rows are learned from.
    """
    check(scores, labels)
    features = scores.T.astype(np.float64)
    model = _fit(features, labels, _strength(features, labels))
    # Last digits depend on the machine's matrix products: they are not kept.
    weights, intercept = np.round(model.coef_[0], 6), round(float(model.intercept_[0]), 6)
    return cut("stack", weights, intercept, scores, labels, metric, "logit")


def _strength(features: npt.NDArray[np.float64], labels: Labels) -> float:
    held = np.arange(len(labels)) % HELD_OUT == 0
    if len(np.unique(labels[~held])) < 2:
        return STRENGTHS[0]  # too few rows to learn even this from
    losses = []
    for strength in STRENGTHS:
        model = _fit(features[~held], labels[~held], strength)
        logits = model.decision_function(features[held])
        losses.append(np.logaddexp(0, np.where(labels[held], -logits, logits)).mean())
    return STRENGTHS[int(np.argmin(losses))]


def _fit(features: npt.NDArray[np.float64], labels: Labels, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=5000).fit(features, labels)
