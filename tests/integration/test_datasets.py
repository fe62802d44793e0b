import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import connectorx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    column,
    create_engine,
    delete,
    event,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.mysql import TINYINT
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.schema import CreateTable
from structlog.testing import capture_logs

from configs.errors import BadData, DatasetChanged, NotFound
from pipeline import frames, preprocess, split
from pipeline.datasets import load_file, register_table
from pipeline.roles import Choices
from storage import bulk_read, datasets, tables
from storage.bulk_write import bulk_engine, fill
from storage.engine import make_engine, reading, transaction
from tests.bank import SHARED
from tests.mariadb import PASSWORD
from tests.matrix import apply

AWKWARD = [
    'double " quote',
    "single ' quote",
    "back ` tick",
    "100 %s %(x)s %",
    "`; DROP TABLE dc_batch; --",
    "x" * 64,
    "나이 (만)",
    "select",
    "a:b?c",
    "dc_row_no",
    "back\\slash",
    "nothing",
    "cafe",
    "café",
]
TEXTS = [
    "plain",
    "tab\there",
    "line\nbreak",
    "back\\slash 😀",
    "\\N",
    "NULL",
    "'\"`",
    "가나다",
    "nul\0cr\r",
]


def save(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def small(path, n_rows=60, **columns):
    """A file with a numeric and a text feature, and a target of 0 and 1."""
    columns = {
        "x": [float(number) for number in range(n_rows)],
        "c": ["a", "b", "c"] * (n_rows // 3),
        "y": [0, 1] * (n_rows // 2),
    } | columns
    return save(path, **columns)


def csv(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def tables_of(engine):
    """Tables of data sets, registered or not."""
    return {name for name in inspect(engine).get_table_names() if name.startswith("dc_data_")}


def execute(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement) if isinstance(statement, str) else statement)


def load(engine, path, **arguments):
    defaults = {"group": "DATA001", "choices": Choices(target="y")}
    return load_file(engine, path, **(defaults | arguments))


def apart(words):
    """As macOS writes Korean: the parts of a syllable, one after another."""
    return unicodedata.normalize("NFD", words)


def frame_of(engine, dataset):
    with reading(engine) as connection:
        return frames.read_from(connection, dataset)


def read_back(engine, group="DATA001", version=1):
    with reading(engine) as connection:
        return datasets.read(connection, group, version)


# Loading.


def test_a_file_is_loaded_registered_and_read_back(engine, tmp_path):
    path = csv(
        tmp_path / "file.csv",
        "no,소득,직업,상태,연체\n007,1.5,의사,96,0\n008,,교사,1,1\n009,-2,,2,0\n",
    )
    progress = []
    dataset = load(
        engine,
        path,
        choices=Choices(target="연체", id_column="no", missing={"상태": ("96", "98")}),
        progress=lambda share, note: progress.append(share),
    )

    assert dataset.name == "DATA001/1"
    assert dataset.table_name == "dc_data_data001_1"
    assert (dataset.n_rows, dataset.positive_rate) == (3, pytest.approx(1 / 3))
    assert read_back(engine) == dataset
    assert progress == sorted(progress)
    assert progress[-1] == 1
    frame = frame_of(engine, dataset)
    assert frame.labels.tolist() == [0, 1, 0]
    assert [feature.name for feature in frame.features] == ["소득", "직업", "상태"]
    assert frame.by_name["소득"].values.tolist()[::2] == [1.5, -2]
    assert frame.by_name["직업"].categories == ("의사", "교사")
    assert frame.by_name["직업"].codes.tolist() == [0, 1, -1]
    assert np.isnan(frame.by_name["상태"].values).tolist() == [True, False, False]
    with engine.connect() as connection:  # the table holds what the file held, sentinels too
        rows = connection.execute(text(f"SELECT * FROM {dataset.table_name} ORDER BY 1")).all()
    assert rows == [
        (1, "007", 1.5, "의사", 96, 0),
        (2, "008", None, "교사", 1, 1),
        (3, "009", -2, None, 2, 0),
    ]


def test_a_version_with_the_same_content_is_told(engine, tmp_path):
    path, other = small(tmp_path / "file.parquet"), small(tmp_path / "other.parquet", 30)
    told = []

    for file, group in ((path, "A"), (other, "A"), (path, "B"), (path, "A")):
        load(engine, file, group=group, tell=told.append)
    load(engine, path, group="A", tell=told.append)
    assert told == [f"data set A/1{more} has the same content" for more in ("", ", A/3")]
    told.clear()

    for _ in range(2):
        choices = Choices(target="y", drop=("dc_row_no",))
        register_table(engine, "dc_data_a_1", group="R", choices=choices, tell=told.append)
    assert told == ["data set R/1 has the same content"]


def test_a_sentinel_is_known_among_codes_with_decimals(sqlite_engine, tmp_path):
    path = csv(tmp_path / "file.csv", "c,x,y\n1.0,1,0\n96.0,2,1\n2.0,3,0\n")
    dataset = load(
        sqlite_engine,
        path,
        choices=Choices(target="y", categorical=("c",), missing={"c": ("96",)}),
    )

    assert frame_of(sqlite_engine, dataset).by_name["c"].codes.tolist() == [0, -1, 2]


def test_a_truth_value_may_mean_missing(sqlite_engine, tmp_path):
    path = csv(tmp_path / "file.csv", "b,x,y\nTrue,1,0\nFalse,2,1\nTrue,3,0\n,4,1\n")
    choices = Choices(target="y", missing={"b": ("False",)})
    dataset = load(sqlite_engine, path, choices=choices)

    found = frame_of(sqlite_engine, dataset).by_name["b"].values

    assert np.isnan(found).tolist() == [False, True, False, True]


def test_both_databases_give_the_same_content(sqlite_engine, mariadb_engine, tmp_path):
    rng = np.random.RandomState(7)
    n_rows = 31_500  # enough to be read in several parts
    numbers = rng.lognormal(size=n_rows) * 10.0 ** rng.randint(-300, 300, n_rows)
    numbers[::17] = np.nan
    edges = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, None, np.nan, np.inf]
    path = save(
        tmp_path / "file.parquet",
        x=pa.array(numbers, from_pandas=True),
        big=pa.array(rng.randint(-(2**62), 2**62, n_rows)),
        edge=pa.array(edges * (n_rows // len(edges))),
        text=pa.array(TEXTS * (n_rows // len(TEXTS))),
        long=pa.array(([None] * 499 + ["가" * 300]) * (n_rows // 500)),
        nothing=pa.nulls(n_rows),
        y=pa.array(rng.randint(0, 2, n_rows)),
    )
    one, other = (load(engine, path) for engine in (sqlite_engine, mariadb_engine))

    assert one.content_sha256 == other.content_sha256
    assert one.columns == other.columns
    mine, yours = frame_of(sqlite_engine, one), frame_of(mariadb_engine, other)
    for a, b in zip(mine.features, yours.features, strict=True):
        if isinstance(a, frames.Numeric):
            assert a.values.tobytes() == b.values.tobytes()
        else:
            assert a.categories == b.categories
            assert (a.codes == b.codes).all()
    assert mine.by_name["x"].values.tobytes() == numbers.tobytes()
    assert set(mine.by_name["text"].categories) == set(TEXTS)


def test_awkward_column_names_are_data(engine, tmp_path):
    columns = {name: [float(n), 1.0, 2.0, 3.0] for n, name in enumerate(AWKWARD)}
    dataset = load(engine, save(tmp_path / "file.parquet", **columns, y=[0, 1, 0, 1]))

    assert dataset.order_column == "dc_row_no_2"
    assert read_back(engine) == dataset
    with capture_logs() as logs:
        frame = frame_of(engine, dataset)
    assert logs == []  # connectorx coped with them
    assert [feature.name for feature in frame.features] == AWKWARD
    assert [feature.values[0] for feature in frame.features] == list(range(len(AWKWARD)))
    again = register_table(
        engine,
        dataset.table_name,
        group='G"`%s',
        choices=Choices(target="y", drop=(dataset.order_column,)),
    )
    assert frame_of(engine, again).by_name["back ` tick"].values.tolist() == [2, 1, 2, 3]
    assert inspect(engine).has_table("dc_batch")


def test_versions_count_up_and_none_is_written_twice(engine, tmp_path):
    path = small(tmp_path / "file.parquet")

    assert [load(engine, path).dataset_version for _ in range(2)] == [1, 2]
    assert load(engine, path, version=7).dataset_version == 7
    assert load(engine, path).dataset_version == 8
    with pytest.raises(BadData, match=r"DATA001/7 exists already; .* next free one, 9"):
        load(engine, path, version=7)


def test_a_table_that_stands_in_the_way_is_left_alone(engine, tmp_path):
    execute(engine, "CREATE TABLE dc_data_data001_1 (mine INTEGER)")
    path = small(tmp_path / "file.parquet")

    with pytest.raises(BadData, match="there is a table 'dc_data_data001_1' already"):
        load(engine, path, version=1)
    assert load(engine, path).table_name == "dc_data_data001_2"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT mine FROM dc_data_data001_1")).all() == []


def test_nobody_is_told_to_drop_the_table_of_a_data_set(engine, tmp_path):
    path = small(tmp_path / "file.parquet")
    load(engine, path)

    with pytest.raises(BadData, match=r"'dc_data_data001_1' holds data set DATA001/1; leave"):
        load(engine, path, group="data001", version=1)
    assert load(engine, path, group="data001").dataset_version == 2


def test_loads_at_the_same_time_get_versions_of_their_own(engine, tmp_path):
    path = small(tmp_path / "file.parquet", 3000)

    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: load(engine, path), range(3)))

    assert sorted(dataset.dataset_version for dataset in made) == [1, 2, 3]
    assert {read_back(engine, version=number).table_name for number in (1, 2, 3)} == tables_of(
        engine
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"y": [0, None] * 30}, "target column 'y' .* has 30 missing values"),
        ({"y": ["good", "bad"] * 30}, "--positive bad or --positive good"),
        ({"y": [0, 1, 2] * 20}, "3 different values"),
    ],
)
def test_a_target_that_cannot_serve_leaves_nothing_behind(engine, tmp_path, columns, words):
    with pytest.raises(BadData, match=words):
        load(engine, small(tmp_path / "file.parquet", **columns))

    assert tables_of(engine) == set()


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("moment", ["writing", "comparing"])
def test_a_load_that_is_interrupted_leaves_no_table_behind(engine, tmp_path, moment):
    def interrupt(_share, note):
        if note.startswith(moment):
            raise Interrupted

    with pytest.raises(Interrupted):
        load(engine, small(tmp_path / "file.parquet"), progress=interrupt)

    assert tables_of(engine) == set()
    with pytest.raises(NotFound):
        read_back(engine)


def test_a_text_target_needs_the_value_that_means_1(engine, tmp_path):
    path = small(tmp_path / "file.parquet", y=["good", "bad"] * 30)
    dataset = load(engine, path, choices=Choices(target="y", positive="bad"))

    assert read_back(engine).positive_value == "bad"
    assert frame_of(engine, dataset).labels[:2].tolist() == [0, 1]


def test_a_thousand_columns_can_be_stored(mariadb_engine, tmp_path):
    numbers = {f"x{n}": [0.5, 1.5] for n in range(600)}
    texts = {f"t{n}": ["a", "가"] for n in range(399)}
    dataset = load(mariadb_engine, save(tmp_path / "file.parquet", **numbers, **texts, y=[0, 1]))

    assert len(frame_of(mariadb_engine, dataset).features) == 999


# Loading into MariaDB.


def test_a_server_that_refuses_local_files_gets_inserts(mariadb_server, mariadb_engine, tmp_path):
    path = save(
        tmp_path / "file.parquet", **{"100 %": TEXTS}, x=[None, 1.5] * 4 + [2], y=[0, 1, 0] * 3
    )
    expected = load(mariadb_engine, path)
    with mariadb_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile = 0")
        try:
            dataset = load(mariadb_engine, path)
        finally:
            cursor.execute("SET GLOBAL local_infile = 1")

    assert dataset.content_sha256 == expected.content_sha256


def test_what_is_sent_to_the_database_has_no_file_that_could_stay(
    mariadb_engine, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    sent = []

    def look(connection, cursor, statement, *_):
        if statement.startswith("LOAD DATA"):
            sent.append(list((tmp_path / "tmp").iterdir()))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        load(mariadb_engine, small(tmp_path / "file.parquet"))
    finally:
        event.remove(Engine, "before_cursor_execute", look)

    assert sent == [[]]


def test_a_row_too_long_for_the_database_leaves_nothing_behind(mariadb_engine, tmp_path):
    texts = {f"t{n}": ["가" * 60, "b"] for n in range(300)}

    with pytest.raises(BadData, match=r"row of 1 numbers and 300 texts .* 190 texts; .* --drop"):
        load(mariadb_engine, save(tmp_path / "file.parquet", **texts, y=[0, 1]))
    assert tables_of(mariadb_engine) == set()


def test_a_row_holds_some_980_numbers_or_190_texts(mariadb_engine, tmp_path):
    wide = tmp_path / "file.parquet"

    with pytest.raises(BadData, match=r"row of 1000 numbers and 0 texts .* 980 numbers"):
        load(mariadb_engine, save(wide, **{f"x{n}": [0.5, 1.5] for n in range(999)}, y=[0, 1]))
    load(mariadb_engine, save(wide, **{f"x{n}": [0.5, 1.5] for n in range(980)}, y=[0, 1]))
    load(mariadb_engine, save(wide, **{f"t{n}": ["가" * 13, "b"] for n in range(190)}, y=[0, 1]))


def test_only_the_bulk_connection_may_send_files(mariadb_engine):
    with reading(mariadb_engine) as connection, pytest.raises(DBAPIError, match="local"):
        connection.exec_driver_sql("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE dc_batch")


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("values", [{"text": ["가" * 4]}, {"number": [300]}])
def test_a_lenient_server_cuts_nothing_that_is_loaded_in_bulk(
    mariadb_server, mariadb_engine, local, values
):
    target = Table("narrow", MetaData(), Column("text", String(3)), Column("number", TINYINT))
    with mariadb_server.connect() as admin, admin.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.sql_mode, @@GLOBAL.local_infile")
        before = cursor.fetchone()
        cursor.execute("SET GLOBAL sql_mode='', local_infile=%s", (local,))
        try:
            with reading(mariadb_engine) as connection:
                target.create(connection)
            with (
                pytest.raises((BadData, DataError), match=r"too long|truncated|Out of range"),
                bulk_engine(mariadb_engine).begin() as connection,
            ):
                fill(connection, target, pa.table(values))
        finally:
            cursor.execute("SET GLOBAL sql_mode=%s, local_infile=%s", before)
            with reading(mariadb_engine) as connection:
                target.drop(connection)


# Reading from MariaDB.


def test_a_url_that_connectorx_does_not_know_is_read_through_the_cursor(mariadb_engine, tmp_path):
    dataset = load(mariadb_engine, small(tmp_path / "file.parquet", 300))
    slow = create_engine(mariadb_engine.url.update_query_dict({"client_flag": "0"}))

    frame = frame_of(slow, dataset)

    slow.dispose()
    assert frame.by_name["x"].values.tolist() == [float(number) for number in range(300)]


def test_connectorx_is_what_reads(mariadb_engine, tmp_path):
    load(mariadb_engine, small(tmp_path / "file.parquet", 300))
    question = select(column("x").label("c0")).select_from(table("dc_data_data001_1"))

    found = bulk_read._through_connectorx(mariadb_engine.url, [question])

    assert found.column("c0").to_pylist() == [float(number) for number in range(300)]


@pytest.mark.parametrize("password", ["geheim 암호!", "é%/@:"])
def test_a_password_in_any_script_serves_every_connection(
    mariadb_server, mariadb_engine, settings, tmp_path, password
):
    database = mariadb_engine.url.database
    mariadb_server.client(
        f"CREATE USER korean@'127.0.0.1' IDENTIFIED BY '{password}';"
        f"GRANT ALL ON `{database}`.* TO korean@'127.0.0.1'"
    )
    url = mariadb_server.url(database, user="korean")
    engine = make_engine(settings(database_url=url, database_password=password))
    try:
        with capture_logs() as logs:
            dataset = load(engine, small(tmp_path / "file.parquet", 300))
            assert frame_of(engine, dataset).n_rows == 300
        assert logs == []  # connectorx read it too
    finally:
        engine.dispose()
        mariadb_server.client("DROP USER korean@'127.0.0.1'")


def test_parts_that_come_in_another_order_need_no_sorting(mariadb_engine, tmp_path, monkeypatch):
    dataset = load(mariadb_engine, small(tmp_path / "file.parquet", 30_000))
    read = connectorx.read_sql

    def last_part_first(*arguments, **options):
        batches = read(*arguments, **options).to_batches()
        return pa.Table.from_batches(sorted(batches, key=lambda each: -each.columns[-1][0].as_py()))

    monkeypatch.setattr(connectorx, "read_sql", last_part_first)
    with reading(mariadb_engine) as connection:
        found = bulk_read.read_table(
            connection, dataset.table_name, ["x"], order_column="dc_row_no", n_rows=30_000
        )

    order = found.column("dc_row_no")
    assert order.num_chunks > 1
    assert (np.diff(order.to_numpy()) > 0).all()


def test_no_error_of_connectorx_shows_the_password(mariadb_engine, capfd):
    with capture_logs() as logs:
        found = bulk_read._through_connectorx(mariadb_engine.url, [text("SELECT x FROM nowhere")])

    assert found is None
    [event] = logs
    assert event["event"] == "connectorx failed; the ordinary cursor reads, ten times slower"
    out, err = capfd.readouterr()
    for secret in (PASSWORD, mariadb_engine.url.render_as_string(hide_password=False)):
        assert secret not in out + err + str(logs)


def test_every_type_of_mariadb_is_read(mariadb_engine):
    execute(
        mariadb_engine,
        """CREATE TABLE every (
            id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT, truth BOOLEAN, medium MEDIUMINT UNSIGNED,
            whole INT UNSIGNED, big BIGINT, price DECIMAL(20,4), bits BIT(3), fraction FLOAT,
            double_ DOUBLE, year_ YEAR, fixed CHAR(5) CHARACTER SET latin1,
            exact VARCHAR(9) COLLATE utf8mb4_bin, choice ENUM('x','y'), choices SET('x','y'),
            json_ JSON, note TEXT, digits VARCHAR(9), day DATE, moment DATETIME(6),
            stamp TIMESTAMP NULL, hour TIME, nothing INT, y TINYINT)""",
        """INSERT INTO every VALUES (18000000000000000001, -1, TRUE, 7, 4000000000,
            9007199254740993, 12.5, b'101', 0.5, 0.1, 2024, 'aé', '가', 'x', 'x,y', '{}', '', '1.5',
            '2024-01-02', '2024-01-02 03:04:05.5', NULL, '10:00:00', NULL, 1)""",
        "SET SESSION time_zone = '+05:00'",
        """INSERT INTO every VALUES (2, NULL, FALSE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, 'note', NULL, NULL, NULL, '2024-01-02 03:04:05', NULL,
            NULL, 0)""",
    )
    said = []
    dataset = register_table(
        mariadb_engine,
        "every",
        group="G",
        choices=Choices(target="y", id_column="id", categorical=("stamp", "moment", "day")),
        tell=said.append,
    )
    frame = frame_of(mariadb_engine, dataset)

    def value(name, row):
        feature = frame.by_name[name]
        if isinstance(feature, frames.Numeric):
            return None if np.isnan(feature.values[row]) else feature.values[row]
        code = feature.codes[row]
        return None if code < 0 else feature.categories[code]

    first = {feature.name: value(feature.name, 0) for feature in frame.features}
    assert first == {
        "tiny": -1,
        "truth": 1,
        "medium": 7,
        "whole": 4000000000,
        "big": 2.0**53,
        "price": 12.5,
        "bits": 5,
        "fraction": 0.5,
        "double_": 0.1,
        "year_": 2024,
        "fixed": "aé",
        "exact": "가",
        "choice": "x",
        "choices": "x,y",
        "json_": "{}",
        "note": None,
        "digits": 1.5,
        "day": "2024-01-02",
        "moment": "2024-01-02 03:04:05.500000",
        "stamp": None,
        "hour": "10:00:00",
        "nothing": None,
    }
    # The row with id 2 comes second: ids are compared as text. Its time is told in UTC.
    assert value("stamp", 1) == "2024-01-01 22:04:05"
    assert frame.labels.tolist() == [1, 0]
    slow = create_engine(mariadb_engine.url.update_query_dict({"client_flag": "0"}))
    assert frame_of(slow, dataset).content_sha256 == dataset.content_sha256
    slow.dispose()


def test_a_long_decimal_that_names_rows_keeps_every_digit(mariadb_engine):
    execute(
        mariadb_engine,
        "CREATE TABLE accounts (account DECIMAL(20,0), x DECIMAL(20,0), y INTEGER)",
        "INSERT INTO accounts VALUES (12345678901234567891, 2, 1), (12345678901234567890, 1, 0)",
    )
    choices = Choices(target="y", id_column="account")
    dataset = register_table(mariadb_engine, "accounts", group="G", choices=choices)

    assert frame_of(mariadb_engine, dataset).by_name["x"].values.tolist() == [1, 2]


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


# Registering what exists.


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

    with pytest.raises(NotFound, match="no table or view 'dc_data_data001_1'"):
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


def test_korean_in_either_form_of_unicode_is_the_same_data(engine, tmp_path):
    chosen = {"id_column": "번호", "missing": {"지역": ("없음",)}, "positive": "연체"}
    named = {
        "번호": list(range(60)),
        "지역": ["서울", "부산", "없음"] * 20,
        "결과": ["연체", "정상"] * 30,
    }
    parted = {
        apart(name): [apart(value) if isinstance(value, str) else value for value in values]
        for name, values in named.items()
    }
    composed = save(tmp_path / "file.parquet", **named)
    dataset = load(engine, composed, choices=Choices(target="결과", **chosen))
    for path in (save(tmp_path / "mac.parquet", **parted), tmp_path / "mac.csv"):
        if path.suffix == ".csv":
            lines = [",".join(map(str, row)) for row in zip(*parted.values(), strict=True)]
            path.write_text("\n".join([",".join(parted), *lines]), encoding="utf-8")
        for choices in (chosen, {**chosen, "positive": apart("연체"), "id_column": apart("번호")}):
            again = load(engine, path, choices=Choices(target="결과", **choices))
            assert again.content_sha256 == dataset.content_sha256
            assert [c.column_name for c in again.columns] == list(named)
            assert again.positive_rate == 0.5


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


def test_writing_a_table_that_was_made_meanwhile_leaves_it_alone(engine):
    execute(engine, CreateTable(Table("dc_data_x_1", MetaData(), Column("mine", Integer))))

    with pytest.raises(tables.TableExists):
        tables.write(engine, "dc_data_x_1", pa.table({"x": [1, 2]}))
    assert tables_of(engine) == {"dc_data_x_1"}
