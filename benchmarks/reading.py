"""From a MariaDB table of 100,000 x 51 to the training matrix, against pandas.read_sql alone.

Run it from the root of the repository: python -m benchmarks.reading
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine, select, table, text

from configs.settings import load
from pipeline import datasets, frames, preprocess, split
from pipeline.roles import Choices
from storage.engine import make_engine, reading
from storage.migrate import upgrade
from storage.records import Dataset
from tests.mariadb import running_mariadb
from tests.matrix import apply

ROWS = 100_000
ROUNDS = 3
TARGET_RATIO = 8.0


def main() -> int:
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as engine:
        dataset = datasets.load_file(
            engine,
            applicants(Path(name, "applicants.parquet")),
            group="BENCH",
            choices=Choices(target="target"),
        )
        ours, slow = [], []
        for _ in range(ROUNDS):  # in turn, so that a busy machine is busy for both
            ours.append(seconds(lambda: matrix(engine, dataset)))
            slow.append(seconds(lambda: with_pandas(engine, dataset)))
    ratio = min(slow) / min(ours)
    print(f"table to training matrix, {ROWS:,} x 51:   {min(ours):6.2f} s  (best of {ROUNDS})")
    print(f"pandas.read_sql with PyMySQL, alone:  {min(slow):6.2f} s")
    print(f"ratio: {ratio:.1f} (at least {TARGET_RATIO:g} wanted)")
    return 0 if ratio >= TARGET_RATIO else 1


@contextmanager
def database(folder: Path) -> Iterator[Engine]:
    with running_mariadb(folder / "server") as server:
        settings = load(
            server.settings(server.new_database()), environ={}, file=folder / "no settings"
        )
        engine = make_engine(settings)
        upgrade(engine, lambda _line: None)
        yield engine
        engine.dispose()


def applicants(path: Path) -> Path:
    """50 features and a target: 40 amounts, some missing; 6 counts; 4 categories."""
    rng = np.random.default_rng(42)
    columns: dict[str, pa.Array] = {}
    for number in range(40):
        amounts = rng.lognormal(8, 2, ROWS).round(2)
        amounts[rng.random(ROWS) < (0.05 if number % 4 == 0 else 0)] = np.nan
        columns[f"amount_{number}"] = pa.array(amounts, from_pandas=True)
    for number in range(6):
        columns[f"count_{number}"] = pa.array(rng.poisson(2 + number, ROWS))
    for number in range(4):
        names = np.array([f"category {index}" for index in range(4 + 4 * number)])
        columns[f"category_{number}"] = pa.array(rng.choice(names, ROWS))
    columns["target"] = pa.array((rng.random(ROWS) < 0.2).astype(np.int64))
    pq.write_table(pa.table(columns), path)
    return path


def matrix(engine: Engine, dataset: Dataset) -> None:
    with reading(engine) as connection:
        frame = frames.read_from(connection, dataset)
    parts = split.make_split(
        frame.labels,
        test_size=0.3,
        validation_size=0.2,
        split_by="random",
        stratify=True,
        seed=42,
    )
    made = apply(preprocess.fit(frame, parts.train), frame)
    if len(made) != ROWS:
        raise SystemExit(f"{len(made)} rows came back, not {ROWS}")


def with_pandas(engine: Engine, dataset: Dataset) -> None:
    everything = select(text("*")).select_from(table(dataset.table_name))
    with engine.connect() as connection:
        if len(pd.read_sql(everything, connection)) != ROWS:
            raise SystemExit("pandas read another number of rows")


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
