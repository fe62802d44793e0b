"""The methods of an ensemble batch as a table."""

from collections.abc import Sequence

from launcher.terminal.console import Column, show
from storage.leaderboard import Row

TITLE = """\
methods, the answer first, then by valid; intervals: 95 % on test;
gain: over the best single model on the same rows of test"""


def show_methods(methods: Sequence[Row]) -> None:
    """Print them; all are of one batch, and so compared by one metric."""
    show(rows(methods), columns(methods[0]["metric"]), title=TITLE)


def columns(metric: str) -> tuple[Column, ...]:
    """Columns of a table of methods, compared by a metric."""
    name = metric.removesuffix("_score")
    return (
        Column("method", "method", text=True),
        Column("answer", "", text=True),
        Column("n_models", "models", wide=True),
        Column(f"valid_{metric}", f"valid {name}", digits=4),
        Column(f"test_{metric}", f"test {name}", digits=4),
        Column("interval", "interval", wide=True),
        Column("test_gain", "gain", digits=4),
        Column("gain_interval", "gain interval", wide=True),
        Column("test_auc", "test auc", digits=4, wide=True),
    )


def rows(methods: Sequence[Row]) -> list[Row]:
    return [
        row
        | {
            "answer": "answer" if row["chosen"] else "",
            "interval": _interval(row["test_low"], row["test_high"]),
            "gain_interval": _interval(row["test_gain_low"], row["test_gain_high"]),
        }
        for row in methods
    ]


def _interval(low: float | None, high: float | None) -> str | None:
    """Both ends in one column, as one without the other says nothing."""
    return None if low is None or high is None else f"{low:.4f} to {high:.4f}"
