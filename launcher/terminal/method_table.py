"""The methods of an ensemble batch as a table."""

from collections.abc import Sequence

from launcher.terminal.console import Column, show
from storage.leaderboard import Row

_TITLE = """\
methods, the answer first, then by valid; from and to: the interval of test;
gain: over the best single model on the same rows of test"""


def show_methods(methods: Sequence[Row]) -> None:
    """Print the methods of one batch, of which there is one at least."""
    rows = [row | {"answer": "answer" if row["chosen"] else ""} for row in methods]
    show(rows, _columns(methods[0]["metric"]), title=_TITLE)


def _columns(metric: str) -> tuple[Column, ...]:
    name = metric.removesuffix("_score")
    return (
        Column("method", "method", text=True),
        Column("answer", "", text=True),
        Column("n_models", "models", wide=True),
        Column(f"valid_{metric}", f"valid {name}", digits=4),
        Column(f"test_{metric}", f"test {name}", digits=4),
        Column("test_low", "from", digits=4, wide=True),
        Column("test_high", "to", digits=4, wide=True),
        Column("test_gain", "gain", digits=4),
        Column("test_gain_low", "gain from", digits=4, wide=True),
        Column("test_gain_high", "gain to", digits=4, wide=True),
        Column("test_auc", "test auc", digits=4, wide=True),
    )
