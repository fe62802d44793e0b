"""Files of data, and data sets that tests load from them."""

import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine, Executable, inspect, text

from pipeline import frames
from pipeline.datasets import load_file
from pipeline.roles import Choices
from storage import datasets
from storage.engine import reading
from storage.records import Dataset


def save(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def small(path: Path, n_rows: int = 60, **columns: Any) -> Path:
    """A file with a numeric and a text feature, and a target of 0 and 1."""
    columns = {
        "x": [float(number) for number in range(n_rows)],
        "c": ["a", "b", "c"] * (n_rows // 3),
        "y": [0, 1] * (n_rows // 2),
    } | columns
    return save(path, **columns)


def apart(words: str) -> str:
    """As macOS writes Korean: the parts of a syllable, one after another."""
    return unicodedata.normalize("NFD", words)


def execute(engine: Engine, *statements: str | Executable) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement) if isinstance(statement, str) else statement)


def load(engine: Engine, path: Path, **arguments: Any) -> Dataset:
    defaults = {"group": "DATA001", "choices": Choices(target="y")}
    return load_file(engine, path, **(defaults | arguments))


def frame_of(engine: Engine, dataset: Dataset) -> frames.Frame:
    with reading(engine) as connection:
        return frames.read_from(connection, dataset)


def read_back(engine: Engine, group: str = "DATA001", version: int = 1) -> Dataset:
    with reading(engine) as connection:
        return datasets.read(connection, group, version)


def tables_of(engine: Engine) -> set[str]:
    """Tables of data sets, registered or not."""
    return {name for name in inspect(engine).get_table_names() if name.startswith("dc_data_")}
