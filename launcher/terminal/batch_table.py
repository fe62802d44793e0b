"""The list of batches as a table whose columns that matter fit a terminal of 80."""

from collections.abc import Mapping
from typing import Any

from launcher.terminal.console import Column
from launcher.terminal.durations import in_short

COLUMNS = (
    Column("batch_id", "batch"),
    Column("mode", "mode", text=True),
    Column("status", "status", text=True),
    Column("age", "age"),
    Column("dataset", "data set", text=True, wide=True),
    Column("serve_server_id", "server", text=True, wide=True),
    Column("batch_desc", "description", prose=True, wide=True, lines=2),
    Column("model_group", "models", text=True, wide=True),
    Column("note", "note", prose=True, lines=3),
)
"""Among those that may be left out, the one that tells least is last."""
SHORT = {
    "being cancelled": "cancelling",
    "running, but not heard of": "silent",
    "waiting for a retry": "to retry",
}
"""Words of v_batch that would take the room of another column."""


def as_listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of v_batch, with what a table has in the place of its long words and seconds."""
    return {
        **row,
        "status": _status(row),
        "age": None if row["age_seconds"] is None else in_short(row["age_seconds"]),
        "note": _note(row),
    }


def _status(row: Mapping[str, Any]) -> str:
    word = SHORT.get(row["status"], row["status"])
    runs = row["state"] == "U" and row["progress"] is not None
    return f"{word} {row['progress']:.0%}" if runs and word == "running" else word


def _note(row: Mapping[str, Any]) -> str | None:
    """Why a batch waits, what it does, or the first line of its error."""
    if row["state"] == "E" and row["last_error"]:
        return str(row["last_error"]).strip().splitlines()[0]
    waits = row["waits_for"]
    return f"waits for {waits}" if waits else row["progress_note"]
