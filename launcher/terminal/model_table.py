"""Ranked models as a table: valid and test side by side."""

from collections.abc import Sequence
from dataclasses import replace

from launcher.terminal.console import Column
from storage.leaderboard import Row


def columns(metric: str, found: Sequence[Row]) -> tuple[Column, ...]:
    """Columns of a table ranked by a metric; of several data sets it always names each row's."""
    several = len({row["dataset"] for row in found}) > 1
    beside = [name for name in ("auc", "ks", "f1_score") if name != metric][:2]
    measured = [
        Column(f"{split}_{name}", f"{split} {name.removesuffix('_score')}", digits=4)
        for name in (metric, *beside)
        for split in ("valid", "test")
    ]
    return (
        Column("rank", "#"),
        Column("model_id", "model", text=True),
        Column("batch_id", "batch"),
        Column("model", "no/sub"),
        *measured[:2],
        Column("test", "test bad/n"),
        *(replace(column, wide=True) for column in measured[2:]),
        Column("threshold", "threshold", digits=3, wide=True),
        Column("fit_seconds", "fit s", digits=1, wide=True),
        Column("device", "device", text=True, wide=True),
        Column("dataset", "data set", prose=True, wide=not several),
    )


def rows(found: Sequence[Row]) -> list[Row]:
    """Rows of that table."""
    return [
        {"rank": rank, "model": f"{row['model_no']}/{row['model_sub_no']}", "test": _tested(row)}
        | row
        for rank, row in enumerate(found, start=1)
    ]


def _tested(row: Row) -> str | None:
    """How many cases of class 1 there are among how many rows of test."""
    counts = row["test_fn"], row["test_tp"]
    return None if None in counts else f"{sum(counts)}/{row['test_n_rows']}"


def caution(found: Sequence[Row]) -> str | None:
    """What to say before a table whose models may not all have been tested on the same rows: from
    the best on few rows to the best on many is no step down.
    """
    tested = {row["split_id"]: row["test_n_rows"] or 0 for row in found}
    if len(tested) < 2:
        return None
    few, many = min(tested.values()), max(tested.values())
    rows = f"{few:,} to {many:,} rows" if few < many else f"{many:,} rows each"
    return (
        f"these models are of {len(tested)} splits (tested on {rows}); figures compare where both "
        "have set aside the same rows, as within a batch: --batch ID lists models of one"
    )
