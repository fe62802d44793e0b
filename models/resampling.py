"""Resampling of the training part with imbalanced-learn. No other rows ever come here.

`samplingStrategy` is imbalanced-learn's: a number is the wanted ratio of the rarer class to the
other one, a word says which class to resample, and has to be one that the method resamples. It
belongs to the step that adds or drops rows; the cleaning of smoteenn and smotetomek looks at both
classes, as it does by default.
"""

from functools import partial
from typing import Protocol

from configs import plugins
from configs.errors import BadParameter
from models.hyperparameters import Either, Null, Real, Word
from models.kind import Labels, Matrix

METHOD = Word("none", "under", "over", "smote", "adasyn", "smoteenn", "smotetomek")
STRATEGY = Either(
    Real(0, 1, above=True),
    Word("auto", "minority", "majority", "not minority", "not majority", "all"),
    Null(),
)
Strategy = float | str | None


_ADDING = ("auto", "minority", "not majority", "all")
_DROPPING = ("auto", "majority", "not minority", "all")
"""With two classes, "not majority" means the minority, and the other way round."""


def check(method: str, strategy: Strategy) -> None:
    """Raise BadParameter for a strategy by which the method would leave all rows as they are."""
    which, allowed = ("commoner", _DROPPING) if method == "under" else ("rarer", _ADDING)
    if method != "none" and isinstance(strategy, str) and strategy not in allowed:
        words = ", ".join(f'"{word}"' for word in allowed)
        raise BadParameter(
            f'samplingStrategy = "{strategy}" does not go with resampling = {method}, '
            f"which resamples the {which} class; it must be {words} or a ratio"
        )


class Resample(Protocol):
    """A method at work."""

    def __call__(
        self, X: Matrix, y: Labels, strategy: Strategy, *, seed: int
    ) -> tuple[Matrix, Labels]:
        """The training part with rows added, dropped or both; the same for the same seed.

        Raises:
            BadParameter: the ratio asked for is below the one there is.
            BadData: too few rows of the rarer class, or none left.
        """
        ...


def find(method: str) -> Resample:
    """The method's function; every one but none imports imbalanced-learn, for a second."""
    if method == "none":
        return _none
    return partial(plugins.load("models.resamplers").resample, method)


def _none(X: Matrix, y: Labels, strategy: Strategy, *, seed: int) -> tuple[Matrix, Labels]:  # noqa: ARG001 - nothing is drawn
    return X, y
