"""What a model kind is, and how it is found: `ML-XGB` is the two files called ml_xgb.py.

models/kinds says what it accepts and needs, and imports no library of models: every process reads
it. models/estimators fits, saves and loads, and only workers import it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from configs import plugins
from configs.errors import BadData, NotFound
from configs.meant import meant
from configs.wording import counted
from models.hyperparameters import Spec

Matrix = NDArray[np.float32]  # (n_rows, n_features), finite
Labels = NDArray[np.int8]  # (n_rows,), 0 or 1
Scores = NDArray[np.float32]  # (n_rows,), probability of 1
Weights = NDArray[np.float64]  # (n_rows,), above 0


class Estimator(Protocol):
    """What a kind fits. `fit` is scikit-learn's, with the validation part for early stopping.

    It prints nothing, changes no argument (arrays may be mapped, read-only), and leaves the
    libraries' random numbers and threads as they were.
    """

    def fit(
        self,
        X: Matrix,
        y: Labels,
        sample_weight: Weights | None = None,
        eval_set: tuple[Matrix, Labels] | None = None,
    ) -> Self:
        """Without `eval_set` nothing stops early.

        The same arrays and seed give the same model in any process, of however many threads; a
        library that draws at random gets the seed, and one that does not may ignore it.

        Raises:
            BadData: `y` has one class only.
            BadParameter: the hyper-parameters make the training diverge.
        """
        ...

    def scores(self, X: Matrix) -> NDArray[Any]:
        """The probability of 1 of each row, as float32 or float64.

        To the last bit it is the same whatever rows are beside it, and however many.
        """
        ...

    def save(self, path: Path) -> None:
        """Write one file, under just this name, that runs no code when it is loaded and says which
        kind it is of.
        """
        ...


class Kind(Protocol):
    """A module of models/kinds."""

    KIND: str
    """Its model_id, for messages and files."""

    FORMAT: str
    """Extension of its files, without the dot."""

    PARAMETERS: Mapping[str, Spec]
    """What model_param may name, by the library's own names."""

    DEFAULTS: Mapping[str, Any]
    """Values of what model_param leaves out; of what is not here, the library's own holds."""

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DEFAULTS with `params` over them, each value read in its own type.

        Raises:
            BadParameter: a name or value that the library does not know or allow, or a combination
                that it refuses.
        """
        ...

    def uses_gpu(self, params: Mapping[str, Any], rows: int, columns: int) -> bool:
        """Whether a card is worth a fit: takes about a third of a core's time for it, or less.

        It depends on nothing else, so that the same batch is fitted on the same devices again.
        See docs/decisions/0012-when-a-card-pays.md.
        """
        ...

    def memory(self, params: Mapping[str, Any], rows: int, columns: int) -> int:
        """About how many bytes `fit` takes at most beside its arguments; `params` are complete."""
        ...


class Card(Protocol):
    """What a library knows of the cards of its machine."""

    def is_there(self) -> bool:
        """Whether the library can use one, in this process."""
        ...

    def is_full(self, error: BaseException) -> bool:
        """Whether an error of the library says that a card has no memory left."""
        ...


class Estimators(Protocol):
    """A module of models/estimators."""

    CARD: Card | None
    """None where the kind uses no GPU."""

    def build(self, params: Mapping[str, Any], *, seed: int, device: str) -> Estimator:
        """An unfitted estimator; `params` are what `check` returned. `device` is `cpu` or `cuda`.

        It has one thread, so that its numbers do not depend on the cores of the machine.
        """
        ...

    def load(self, path: Path, *, device: str) -> Estimator:
        """An estimator with bit-equal scores on the device type it was fitted on.

        The file is read before anything is made of it: one that is not there or cannot be read, and
        a host without memory, are no damage. It may come from anybody: what would crash the library
        or fill the memory is refused before the library sees it.

        Raises:
            ArtifactDamaged: the file is not one that this kind's `save` writes; the message names
                file and kind. Whatever a released version wrote still loads.
            OSError: it cannot be read.
            MemoryError: the host has no memory left for it.
        """
        ...


def scores_of(estimator: Estimator, X: Matrix) -> Scores:
    """Probability of 1 as float32: what is stored, thresholded and measured.

    Raises:
        BadData: a score is not a number.
    """
    if not len(X):
        return np.zeros(0, dtype=np.float32)
    scores = np.ascontiguousarray(estimator.scores(X), dtype=np.float32)
    broken = int(np.count_nonzero(~np.isfinite(scores)))
    if broken:
        raise BadData(f"{broken} of {counted(len(scores), 'row')} got a score that is not a number")
    return scores


def require_both_classes(y: Labels) -> None:
    """Raise BadData for a training part that cannot teach anything."""
    classes = np.unique(y)
    if len(classes) != 2:
        rows = "no rows" if not len(y) else f"only rows of class {classes[0]}"
        raise BadData(f"the training part has {rows}; use stratify or another split")


def available() -> tuple[str, ...]:
    """Every model_id, sorted; a new kind is a new file in each of the two folders."""
    names = plugins.modules_in(Path(__file__).parent / "kinds")
    return tuple(sorted(name.replace("_", "-").upper() for name in names))


def find(model_id: str) -> Kind:
    """The kind of a model_id.

    Raises:
        NotFound: there is no such file; the message lists the kinds there are.
    """
    if model_id not in available():
        there = available()
        raise NotFound(
            f"unknown model_id {model_id!r}; {meant(model_id, there)}there are: {', '.join(there)}"
        )
    return cast(Kind, plugins.load(f"models.kinds.{_file(model_id)}"))


def estimators(model_id: str) -> Estimators:
    """What fits the kind; the first call imports its libraries, for seconds.

    Raises:
        NotFound: as `find`.
    """
    find(model_id)
    return cast(Estimators, plugins.load(f"models.estimators.{_file(model_id)}"))


def _file(model_id: str) -> str:
    return model_id.replace("-", "_").lower()
