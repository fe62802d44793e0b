"""Files become data sets: versions, content, what cannot be loaded, and loading into MariaDB."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    event,
    inspect,
    text,
)
from sqlalchemy.dialects.mysql import TINYINT
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.schema import CreateTable
from structlog.testing import capture_logs

from configs.errors import BadData, NotFound
from pipeline import frames
from pipeline.datasets import register_table
from pipeline.roles import Choices
from storage import tables
from storage.bulk_engine import bulk_engine
from storage.bulk_write import fill
from storage.engine import reading
from tests.data_sets import apart, execute, frame_of, load, read_back, save, small, tables_of

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


def csv(path, content):
    path.write_text(content, encoding="utf-8")
    return path


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
    assert told == [
        "data set A/1 has the same content",
        "data sets A/1, A/3 have the same content",
    ]
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


def test_writing_a_table_that_was_made_meanwhile_leaves_it_alone(engine):
    execute(engine, CreateTable(Table("dc_data_x_1", MetaData(), Column("mine", Integer))))

    with pytest.raises(tables.TableExists):
        tables.write(engine, "dc_data_x_1", pa.table({"x": [1, 2]}))
    assert tables_of(engine) == {"dc_data_x_1"}


def test_a_feature_that_may_be_the_target_in_disguise_is_told(sqlite_engine, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    y = np.tile([1, 1, 0, 0, 0], 60)
    columns = {
        "상각액": np.where(y == 1, random.integers(1, 9, 300), 0),
        "paid": np.where(y == 1, random.normal(0, 1, 300), random.normal(9, 1, 300)),
        "closed": [None if one else number for number, one in enumerate(y.tolist())],
        "status": np.where(y == 1, "written off", random.choice(["paid", "runs"], 300)),
        "strong": y + random.normal(0, 0.7, 300),
        "rare": [f"r{number}" for number in range(300)],
        "often": random.choice(["a", "b"], 300, p=[0.9, 0.1]),
        "y": np.where(y == 1, "bad", "good"),
    }
    file = save(tmp_path / "file.parquet", **columns)
    few = save(tmp_path / "few.parquet", **{n: values[:45] for n, values in columns.items()})

    def said(path, **options):
        told = []
        load(
            sqlite_engine,
            path,
            choices=Choices(target="y", positive="bad", **options),
            tell=told.append,
        )
        return [line for line in told if "AUC" in line]

    found = said(file)

    assert [line.split(":")[0] for line in found] == ["상각액", "paid", "closed", "status"]
    assert found[0] == (
        "상각액: alone it tells the classes apart (AUC 1.0000); if it is known only after the "
        "outcome, name it with --drop"
    )
    assert len(said(file, drop=("status", "closed"))) == 2
    assert said(few) == []  # 18 of the one class: it may be chance
    monkeypatch.setattr("pipeline.disguise.MOST", 60)
    assert [line.split(":")[0] for line in said(file)] == ["상각액", "paid", "closed", "status"]
