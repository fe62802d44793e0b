"""Data sets of tables and views that are there, what changed in them, and the roles of columns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import column, delete, table, update

from configs.errors import BadData, DatasetChanged, NotFound
from pipeline import frames, preprocess, split
from pipeline.datasets import register_table
from pipeline.roles import Choices
from storage import datasets, tables
from storage.engine import reading, transaction
from storage.schema import dc_dataset, dc_dataset_column
from tests.bank import SHARED
from tests.data_sets import apart, execute, frame_of, load, read_back, save, small
from tests.matrix import apply


def test_binary_columns_must_be_dropped(engine):
    execute(
        engine,
        "CREATE TABLE pictures (x INTEGER, picture BLOB, y INTEGER)",
        "INSERT INTO pictures VALUES (1, x'ff00', 0), (2, x'00', 1)",
    )

    with pytest.raises(BadData, match=r"column 'picture' holds .*--drop picture"):
        register_table(engine, "pictures", group="G", choices=Choices(target="y"))
    dropped = Choices(target="y", drop=("picture",))
    assert register_table(engine, "pictures", group="G", choices=dropped).n_rows == 2


def test_rows_of_a_table_without_an_order_have_one_all_the_same(engine):
    rows = [(3, "b", 0), (1, "a", 1), (2, None, 1), (1, "b", 0)]
    values = ["INSERT INTO {} VALUES ({}, {}, {})"]
    for name, ordered in (("one", rows), ("other", rows[::-1])):
        execute(engine, f"CREATE TABLE {name} (x INTEGER, c VARCHAR(5), y INTEGER)")
        for x, c, y in ordered:
            execute(engine, values[0].format(name, x, f"'{c}'" if c else "NULL", y))
    found = [
        register_table(engine, name, group=name, choices=Choices(target="y"))
        for name in ("one", "other")
    ]

    assert found[0].content_sha256 == found[1].content_sha256
    assert frame_of(engine, found[0]).by_name["x"].values.tolist() == [1, 1, 2, 3]


@pytest.mark.parametrize("written", ["[96", "null", "[[96]]", "[NaN]", '"96"', "[" * 100_000])
def test_missing_values_that_are_no_list_are_an_error_that_names_their_row(
    sqlite_engine, tmp_path, written
):
    """Operators may write them; who lists data sets then reads them, too."""
    load(sqlite_engine, small(tmp_path / "file.parquet"))
    columns = dc_dataset_column.c
    change = update(dc_dataset_column).where(columns.column_name == "x")
    execute(sqlite_engine, change.values(missing_values="[96, 98.5]"))
    assert read_back(sqlite_engine).columns[0].missing_values == ("96", "98.5")
    execute(sqlite_engine, change.values(missing_values=written))

    with pytest.raises(BadData, match=r"DATA001/1: column 'x': missing_values .* must be a list"):
        read_back(sqlite_engine)


def test_an_order_that_is_a_column_of_the_data_is_an_error_that_names_it(sqlite_engine, tmp_path):
    load(sqlite_engine, small(tmp_path / "file.parquet"))
    execute(sqlite_engine, update(dc_dataset).values(order_column="x"))

    with pytest.raises(BadData, match=r"order_column of table 'dc_data_data001_1' .* is 'x'"):
        frame_of(sqlite_engine, read_back(sqlite_engine))


def test_a_view_can_be_registered(engine, tmp_path):
    load(engine, small(tmp_path / "file.parquet"))
    execute(
        engine,
        "CREATE VIEW rich AS SELECT x, x * 2 AS twice, y FROM dc_data_data001_1 WHERE x >= 30",
    )
    dataset = register_table(engine, "rich", group="RICH", choices=Choices(target="y"))

    assert (dataset.n_rows, dataset.order_column) == (30, None)
    assert frame_of(engine, dataset).by_name["twice"].values.tolist()[0] == 60
    with reading(engine) as connection:
        assert [found.name for found in datasets.listing(connection)] == ["DATA001/1", "RICH/1"]


def test_our_row_numbers_are_no_feature_of_a_view(engine, tmp_path):
    load(engine, small(tmp_path / "file.parquet"))
    execute(engine, "CREATE VIEW every AS SELECT * FROM dc_data_data001_1 WHERE x < 30")
    said = []

    found = register_table(
        engine, "every", group="V", choices=Choices(target="y"), tell=said.append
    )
    named = Choices(target="y", id_column="dc_row_no")
    by_number = register_table(engine, "every", group="V", choices=named)

    assert said == ["dc_row_no: row numbers of a table that `dataset load` made, ignored"]
    assert found.columns[0].role == "ignore"
    assert set(frame_of(engine, found).by_name) == {"x", "c"}
    assert by_number.columns[0].role == "id"


def test_sqlite_columns_may_mix_numbers_and_texts(sqlite_engine):
    execute(
        sqlite_engine,
        "CREATE TABLE mixed (x, c, big, y)",
        "INSERT INTO mixed VALUES (1, 1, 9223372036854775807, 0), (2.5, 2.0, 1.5, 1), "
        "('3', 'b', NULL, 0), (NULL, '', 1, 1)",
    )
    dataset = register_table(sqlite_engine, "mixed", group="G", choices=Choices(target="y"))

    frame = frame_of(sqlite_engine, dataset)
    assert np.sort(frame.by_name["x"].values)[:3].tolist() == [1, 2.5, 3]
    assert set(frame.by_name["c"].categories) == {"1", "2", "b"}
    assert (frame.by_name["c"].codes < 0).sum() == 1


@pytest.mark.parametrize(
    ("statements", "choices", "error", "words"),
    [
        ([], Choices(target="y"), NotFound, "no table or view 'source'"),
        (["CREATE TABLE source (x INTEGER, y INTEGER)"], Choices(target="y"), BadData, "is empty"),
        (
            [
                "CREATE TABLE source (id INTEGER, x INTEGER, y INTEGER)",
                "INSERT INTO source VALUES (1, 1, 0), (1, 2, 1)",
            ],
            Choices(target="y", id_column="id"),
            BadData,
            "id column 'id' is not unique",
        ),
        (
            [
                "CREATE TABLE source (x INTEGER, y INTEGER)",
                "INSERT INTO source VALUES (1, 0), (2, 1)",
            ],
            Choices(target="y", drop=("z",)),
            BadData,
            "table 'source' has no column 'z'",
        ),
        (
            ["CREATE TABLE source (x INTEGER)", "INSERT INTO source VALUES (1)"],
            Choices(target=None, drop=("x",)),
            BadData,
            "table 'source' has no feature: every column is dropped",
        ),
    ],
)
def test_what_cannot_be_registered_is_an_error(engine, statements, choices, error, words):
    execute(engine, *statements)

    with pytest.raises(error, match=words):
        register_table(engine, "source", group="G", choices=choices)
    with pytest.raises(NotFound):
        read_back(engine, "G")


# What changed since.


CHANGES = {
    "a value": update(table("dc_data_data001_1", column("x")))
    .where(column("x") == 5)
    .values(x=5.5),
    "a label": update(table("dc_data_data001_1", column("x"), column("y")))
    .where(column("x") == 5)
    .values(y=0),
    "a missing value": update(table("dc_data_data001_1", column("x")))
    .where(column("x") == 5)
    .values(x=None),
    "a category": update(table("dc_data_data001_1", column("x"), column("c")))
    .where(column("x") == 6)
    .values(c="b"),
    "a row less": delete(table("dc_data_data001_1", column("x"))).where(column("x") == 5),
    "a row more": "INSERT INTO dc_data_data001_1 (dc_row_no, x, c, y) VALUES (61, 1, 'a', 0)",
    "the order": "UPDATE dc_data_data001_1 SET dc_row_no = 1000 WHERE dc_row_no = 3",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_data_set_that_changed_is_noticed_and_refused(engine, tmp_path, change):
    dataset = load(engine, small(tmp_path / "file.parquet"))
    execute(engine, change)

    with pytest.raises(DatasetChanged, match=r"DATA001/1 has changed .* load it as a new version"):
        frame_of(engine, dataset)


def test_an_ignored_column_may_change_and_others_may_come(engine, tmp_path):
    choices = Choices(target="y", drop=("c",))
    dataset = load(engine, small(tmp_path / "file.parquet"), choices=choices)
    execute(
        engine,
        "UPDATE dc_data_data001_1 SET c = 'z'",
        "ALTER TABLE dc_data_data001_1 ADD COLUMN later INTEGER",
    )

    assert [feature.name for feature in frame_of(engine, dataset).features] == ["x"]


def test_a_column_that_has_gone_is_named(engine, tmp_path):
    dataset = load(engine, small(tmp_path / "file.parquet"))
    execute(engine, "ALTER TABLE dc_data_data001_1 DROP COLUMN c")

    with pytest.raises(BadData, match="'dc_data_data001_1' has no column 'c' any more"):
        frame_of(engine, dataset)


def test_a_table_that_has_gone_is_named(engine, tmp_path):
    dataset = load(engine, small(tmp_path / "file.parquet"))
    tables.drop(engine, dataset.table_name)

    told = "^data set DATA001/1: there is no table or view 'dc_data_data001_1' .*; bring it back"
    with pytest.raises(NotFound, match=told):
        frame_of(engine, dataset)


def test_an_unknown_data_set_lists_what_exists(engine, tmp_path):
    with pytest.raises(NotFound, match="unknown data set DATA001/1; there are none yet"):
        read_back(engine)
    dataset = load(engine, small(tmp_path / "file.parquet"))
    transaction(
        engine, lambda c: datasets.register(c, replace(dataset, dataset_version=3, table_name="t"))
    )

    with pytest.raises(
        NotFound, match="unknown data set DATA001/2; there are: DATA001/1, DATA001/3"
    ):
        read_back(engine, version=2)
    with pytest.raises(NotFound, match="unknown data set OTHER/1; there are: DATA001/3"):
        read_back(engine, "OTHER")
    with pytest.raises(
        NotFound, match=r"unknown data set data01/1; did you mean DATA001\? there are: DATA001/3"
    ):
        read_back(engine, "data01")


def test_group_and_version_are_registered_once(engine, tmp_path):
    dataset = load(engine, small(tmp_path / "file.parquet"))

    with pytest.raises(BadData, match="DATA001/1 exists already"):
        transaction(engine, lambda connection: datasets.register(connection, dataset))


def test_a_data_set_without_a_target_can_only_be_scored(engine, tmp_path):
    dataset = load(engine, small(tmp_path / "file.parquet"), choices=Choices(target=None))

    frame = frame_of(engine, dataset)

    assert frame.y is None
    with pytest.raises(BadData, match="has no target; register it with --target COLUMN"):
        _ = frame.labels


def test_an_empty_table_is_an_error(engine, tmp_path):
    dataset = load(engine, small(tmp_path / "file.parquet"))
    execute(engine, "DELETE FROM dc_data_data001_1")
    with reading(engine) as connection:
        rows = frames.read_rows(connection, dataset)

    with pytest.raises(BadData, match="data set DATA001/1 is empty"):
        frames.frame_of(dataset, rows)


def test_a_registered_table_in_the_other_form_of_unicode_has_the_same_features(engine, tmp_path):
    path = small(tmp_path / "file.parquet", 지역=["서울", "부산", "없음"] * 20)
    frame = frame_of(engine, load(engine, path))
    fitted = preprocess.fit(frame, np.arange(60))
    execute(
        engine, f"CREATE TABLE t (x DOUBLE, c VARCHAR(9), y INT, `{apart('지역')}` VARCHAR(20))"
    )
    for x, c, y, region in zip(
        frame.by_name["x"].values, "abc" * 20, frame.y, ["서울", "부산", "없음"] * 20, strict=True
    ):
        execute(engine, f"INSERT INTO t VALUES ({x}, '{c}', {y}, '{apart(region)}')")
    other = register_table(engine, "t", group="T", choices=Choices(target="y"))
    rows = apply(fitted, frame_of(engine, other))

    assert sorted(map(tuple, rows)) == sorted(map(tuple, apply(fitted, frame)))


# Roles.


def test_only_features_reach_the_matrix_and_times_and_groups_the_split(engine, tmp_path):
    path = save(
        tmp_path / "file.parquet",
        no=list(range(90)),
        day=[f"2024-{1 + n // 28 % 12:02}-{1 + n % 28:02}" for n in range(90)][::-1],
        customer=[n // 3 for n in range(90)],
        sex=["f", "m"] * 45,
        branch=["a", "b", "c"] * 30,
        x=[float(n * n % 17) for n in range(90)],
        y=[0, 1] * 45,
    )
    dataset = load(
        engine,
        path,
        choices=Choices(
            target="y",
            id_column="no",
            time_column="day",
            group_column="customer",
            sensitive=("sex",),
            drop=("branch",),
        ),
    )
    frame = frame_of(engine, dataset)
    sizes = {"test_size": 0.3, "validation_size": 0.2, "stratify": True, "seed": 1}
    by_time = split.make_split(frame.labels, split_by="time", time=frame.time, **sizes)
    by_group = split.make_split(frame.labels, split_by="group", groups=frame.groups, **sizes)

    assert preprocess.fit(frame, by_time.train).feature_names == ("x",)
    assert by_time.test.tolist() == list(range(27))  # days fall from row to row
    assert set(by_group.train // 3).isdisjoint(by_group.test // 3)


def test_times_are_ranked_by_the_instant_whatever_their_form(engine, tmp_path):
    newest_first = [
        "2024-01-01 10:00",
        "2024-01-01T09:00",
        "2024-01-01T00:00:00Z",
        "2024-01-01T08:30:00+09:00",
        "never",
    ]
    path = small(tmp_path / "file.parquet", day=newest_first * 12)
    choices = Choices(target="y", time_column="day", missing={"day": ("never",)})
    frame = frame_of(engine, load(engine, path, choices=choices))

    assert frame.time.tolist() == [3, 2, 1, 0, -1] * 12


# Real data.


@pytest.mark.parametrize(
    ("name", "target", "n_rows", "rate", "width"),
    [
        ("taiwan/taiwan_default.csv", "default_payment_next_month", 30_000, 0.2212, 24),
        ("hmeq/hmeq.csv", "BAD", 5960, 0.1995, 29),
        ("german/german_credit.csv", "default", 1000, 0.3, 59),
    ],
)
def test_real_data_is_loaded_and_prepared(mariadb_engine, name, target, n_rows, rate, width):
    path = Path(SHARED, "data", name)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    dataset = load(mariadb_engine, path, choices=Choices(target=target))
    frame = frame_of(mariadb_engine, dataset)
    parts = split.make_split(
        frame.labels,
        test_size=0.3,
        validation_size=0.2,
        split_by="random",
        stratify=True,
        seed=42,
    )
    matrix = apply(preprocess.fit(frame, parts.train), frame)

    assert dataset.n_rows == n_rows
    assert dataset.positive_rate == pytest.approx(rate, abs=1e-4)
    assert matrix.shape == (n_rows, width)
    assert np.isfinite(matrix).all()
