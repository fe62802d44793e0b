import datetime as dt
import gzip
import re
from decimal import Decimal
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from configs.errors import BadData
from pipeline.roles import Choices, describe
from storage import files
from storage.column_kinds import as_identifier, as_text, find, instants
from storage.table_names import check_names, order_column_for, table_name


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="file.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def read_file(path):
    """All parts side by side, which are the same whatever their number, as is an error."""
    try:
        whole = side_by_side(path)
    except BadData as error:
        with (
            patch.object(files, "_AT_ONCE", 1),
            pytest.raises(BadData, match=re.escape(str(error))),
        ):
            side_by_side(path)
        raise
    with patch.object(files, "_AT_ONCE", 1):
        assert side_by_side(path).equals(whole)
    return whole


def side_by_side(path):
    parts = list(files.File(path).parts())
    names = [name for part in parts for name in part.column_names]
    return pa.table([column for part in parts for column in part.columns], names=names)


def values(path):
    return read_file(path).to_pydict()


# CSV.


def test_korean_names_and_values_are_read_with_and_without_a_byte_order_mark(write):
    content = "나이,직업\n31,의사\n45,교사\n"

    for encoded in (content.encode(), content.encode("utf-8-sig")):
        assert values(write(encoded)) == {"나이": ["31", "45"], "직업": ["의사", "교사"]}


def test_empty_cells_blanks_and_words_for_nothing_are_missing(write):
    path = write('a,b\n,x\nNA,"  "\nNULL,N/A\n#N/A,\\N\n1,None\n')

    assert values(path) == {
        "a": [None, None, None, None, "1"],
        "b": ["x", None, None, None, "None"],
    }


@pytest.mark.parametrize("name", ["PAR1", "PK", "PAR1 ratio"])
def test_a_column_may_be_named_as_other_kinds_of_files_begin(write, name):
    assert values(write(f"{name},b\n1,2\n")) == {name: ["1"], "b": ["2"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_shows_the_delimiter(write, delimiter):
    path = write(f"a{delimiter}b\n1{delimiter}2\n")

    assert values(path) == {"a": ["1"], "b": ["2"]}


def test_a_quote_amid_a_value_is_a_quote(write):
    table = read_file(write('a,b\n15" wheels,1\nx,2\n'))

    assert table.column("a").to_pylist() == ['15" wheels', "x"]


def test_quotes_hold_delimiters_newlines_and_quotes(write):
    path = write('"a ""1""",b\r\n"x,\ny","he said ""no"""\r\n')

    assert values(path) == {'a "1"': ["x,\ny"], "b": ['he said "no"']}


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_value_may_be_longer_than_the_blocks_that_a_file_is_read_in(write, quote):
    long = "한" * 1_000_000

    path = write(f'a,b\n1,x\n2,{quote}{long}{quote}\n3,15" wheels\n')

    assert values(path) == {"a": ["1", "2", "3"], "b": ["x", long, '15" wheels']}


MANY = "5,6\n" * 1_000_000
LONG = "x" * 200_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n3\n", r"line 3 has 1 value, but the header names 2 columns"),
        ('a,b\n"x\ny",2\n1,2,3\n', r"line 4 has 3 values, but the header names 2 columns"),
        ('a,b\n1,2\n3,"4\n5,6\n', r"line 3 opens a quote \(\"\) that is never closed"),
        (f'a,b\n1,2\n3,"4\n{MANY}', r"line 3 opens a quote \(\"\) that is never closed"),
        (f'a,"b\n{MANY}', r"line 1 opens a quote \(\"\) that is never closed"),
        (f"a,b\n1,{LONG}\n3\n", r"line 3 has 1 value, but the header names 2 columns"),
        (f"a,{LONG}\n1,2\n", r"column 2, 'x{79}, is longer than 64 characters"),
        ("a,a\n1,2\n", r"columns 'a' and 'a' have the same name"),
        ("Age,b,AGE\n1,2,3\n", r"columns 'Age' and 'AGE' have the same name"),
        ("a,,c\n1,2,3\n", r"column 2 has no name"),
        ("a,b \n1,2\n", r"column 2, 'b ', ends in a space"),
        (f"a,{'x' * 65}\n1,2\n", r"column 2, 'x+', is longer than 64 characters"),
        ("a,\U0001f600\n1,2\n", r"column 2, .* holds a character that no column name can have"),
        ("a,b\n", "the file has no rows"),
        ("", "line 1 is empty"),
        ("\na,b\n1,2\n", "line 1 is empty"),
        ("a,b\n1,2\n3,한국\n".encode("cp949"), r"line 3 is not UTF-8 \(byte 0xc7\).*-f CP949 "),
        ("나이,b\n1,2\n".encode("cp949"), r"line 1 is not UTF-8"),
        ("a,b\n1,2\n3,한".encode()[:-1], r"ends in the middle of a character, in line 3.*copy it"),
        ("a,b,c\n1,2,3\n4,한".encode()[:-1], r"in the middle of a character, in line 3"),
        ("a,b\n1,2\n".encode("utf-16"), r"line 1 is not UTF-8 .*iconv -f UTF-16 -t UTF-8"),
        (b"PK\x03\x04\x14\0", r"no CSV file but an Excel workbook or .* save its sheet as CSV"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), r"no CSV file but an Excel workbook; save its sheet"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), r"no CSV file but compressed; unpack it first"),
        (b"PAR1\x15\0", r"no CSV file but a Parquet file; .* ends in \.parquet"),
        ("\ufeffa\n1\n".encode("utf-16-be"), r"line 1 is not UTF-8 .*iconv -f UTF-16 -t UTF-8"),
    ],
    ids=lambda text: str(text)[:40],
)
def test_a_bad_file_is_an_error_that_names_the_place(write, capfd, content, words):
    path = write(content)

    with pytest.raises(BadData, match=words) as caught:
        read_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BadData, match="cannot read the file: No such file"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(BadData, match="cannot read the file"):
        read_file(tmp_path / "none.parquet")


def test_more_than_a_thousand_columns_are_too_many(write):
    header = ",".join(f"c{number}" for number in range(1001))

    with pytest.raises(BadData, match="1001 columns are too many; at most 1000"):
        read_file(write(f"{header}\n{header}\n"))


# Parquet.


def test_parquet_types_become_numbers_and_texts(tmp_path):
    path = tmp_path / "file.parquet"
    table = pa.table(
        {
            "bool": [True, None],
            "int8": pa.array([1, None], pa.int8()),
            "uint64": pa.array([2**64 - 1, 1], pa.uint64()),
            "float32": pa.array([0.5, float("inf")], pa.float32()),
            "decimal": [Decimal("1.25"), None],
            "nothing": pa.nulls(2),
            "text": ["a", ""],
            "dictionary": pa.array(["b", None]).dictionary_encode(),
            "date": [dt.date(2024, 1, 2), None],
            "numbers as text": ["1", "2.5"],
        }
    )
    pq.write_table(table, path)
    said = []
    raw = read_file(path)
    stored, columns = describe([raw], raw.column_names, Choices(target=None), "file", said.append)

    assert stored.to_pydict() == {
        "bool": [1, None],
        "int8": [1, None],
        "uint64": [2.0**64, 1.0],
        "float32": [0.5, None],
        "decimal": [1.25, None],
        "nothing": [None, None],
        "text": ["a", None],
        "dictionary": ["b", None],
        "date": ["2024-01-02", None],
        "numbers as text": [1.0, 2.5],
    }
    assert {column.column_name for column in columns if column.kind == "categorical"} == {
        "text",
        "dictionary",
        "date",
    }
    assert [column.role for column in columns if column.column_name == "date"] == ["ignore"]
    assert said == [
        "float32: 1 infinite value, stored as missing",
        "date: dates, ignored; name it with --time, or force it with --categorical",
    ]


@pytest.mark.parametrize(
    ("ids", "again"), [([7, 8, 7, 7], "2 rows"), (["a", "b", "a", None], "1 row")]
)
def test_ids_that_repeat_are_told(ids, again):
    said = []
    raw = pa.table({"no": ids, "x": [1.0, 2.0, 3.0, 4.0]})

    describe(
        [raw], ["no", "x"], Choices(target=None, id_column="no"), "f", said.append, in_order=True
    )

    assert [line.split(";")[0] for line in said] == [f"no: {again} with an id that another has"]


@pytest.mark.parametrize(
    "kind", [pa.decimal128(10, 2), pa.decimal128(38, 10), pa.decimal256(50, 5)], ids=str
)
def test_a_decimal_is_the_number_that_a_csv_file_says(kind):
    written = [f"{number / 100:.2f}" for number in range(1, 2000)]
    decimals = pa.chunked_array([pa.array(map(Decimal, written), kind)])

    assert find("x", decimals).values.to_pylist() == list(map(float, written))
    assert find("x", decimals).values.equals(find("x", pa.chunked_array([written])).values)


@pytest.mark.parametrize("kind", [pa.decimal128(38, 0), pa.uint64()], ids=str)
def test_a_long_number_that_names_something_keeps_every_digit(kind):
    alike = [12345678901234567890, 12345678901234567891]
    numbers = [Decimal(number) for number in alike] if pa.types.is_decimal(kind) else alike
    named = pa.chunked_array([pa.array(numbers, kind)])

    assert as_identifier("id", named).values.to_pylist() == list(map(str, alike))
    assert as_text("code", named).values.to_pylist() == list(map(str, alike))
    short = pa.chunked_array([pa.array([Decimal(7)], pa.decimal128(38, 0))])
    assert as_identifier("id", short).values.to_pylist() == [7]


def test_row_numbers_that_pandas_left_in_a_file_are_no_feature(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"x": [1, 3], "y": [0, 1], "__index_level_0__": [5, 9]}), path)
    raw, said = read_file(path), []
    _, columns = describe([raw], raw.column_names, Choices(target="y"), "file", said.append)

    roles = {column.column_name: column.role for column in columns}
    assert roles == {"x": "feature", "y": "target", "__index_level_0__": "ignore"}
    assert said == ["__index_level_0__: row numbers that pandas left in the file, ignored"]


def test_a_parquet_column_that_no_table_can_hold_must_be_dropped(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"x": [1, 2], "list": [[1], [2]], "bytes": [b"1", b"2"]}), path)
    raw = read_file(path)

    with pytest.raises(BadData, match=r"column 'list' holds values of type list.*--drop list"):
        describe([raw], raw.column_names, Choices(target=None), "file", print)
    dropped = Choices(target=None, drop=("list", "bytes"))
    stored, _ = describe([raw], raw.column_names, dropped, "file", print)
    assert stored.column_names == ["x"]


def test_a_parquet_file_may_not_have_two_columns_of_one_name(tmp_path):
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table([[1, 2], [3, 4]], names=["나이", "나이"]), path)

    with pytest.raises(BadData, match="columns '나이' and '나이' have the same name"):
        read_file(path)


def test_names_of_which_one_goes_on_after_another_with_a_dot_are_different_columns(tmp_path):
    path = tmp_path / "file.parquet"
    table = pa.table({"a.b": [1, 2], "a": ["x", "y"], "a.b.c": [0.5, 1.5]})
    pq.write_table(table, path)

    assert read_file(path).equals(table)


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    folder = tmp_path / "rows.parquet"
    pq.write_to_dataset(pa.table({"x": [1, 2], "y": [0, 1]}), folder, partition_cols=["y"])

    table = read_file(folder)
    assert sorted(zip(table["x"].to_pylist(), map(str, table["y"].to_pylist()), strict=True)) == [
        (1, "0"),
        (2, "1"),
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_of_a_large_file_only_some_columns_are_in_memory_at_once(tmp_path, monkeypatch, ending):
    rng = np.random.default_rng(1)
    table = pa.table({f"x{number}": rng.normal(size=5000) for number in range(40)})
    path = tmp_path / f"file.{ending}"
    (pq.write_table if ending == "parquet" else csv.write_csv)(table, path)
    del table
    monkeypatch.setattr(files, "_AT_ONCE", path.stat().st_size // 20 + 1)
    before, taken = pa.total_allocated_bytes(), []
    for part in files.File(path).parts():
        taken.append(pa.total_allocated_bytes() - before)
        assert part.num_columns == 2
        del part

    assert len(taken) == 20
    assert max(taken) < path.stat().st_size / 4


def test_a_file_that_is_written_anew_while_it_is_read_is_an_error(write, monkeypatch):
    monkeypatch.setattr(files, "_AT_ONCE", 1)
    parts = files.File(write("a,b\n1,2\n")).parts()
    next(parts)
    write("a,b\n1,2\n3,4\n")

    with pytest.raises(BadData, match=r"file\.csv: the file was changed while it was read"):
        next(parts)


def test_a_parquet_file_with_other_columns_in_its_place_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_AT_ONCE", 1)
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2]}), path)
    parts = files.File(path).parts()
    next(parts)
    pq.write_table(pa.table({"a": [1], "c": [2]}), path)

    with pytest.raises(BadData, match=r"the file was changed while it was read"):
        next(parts)


def test_a_damaged_parquet_file_is_an_error(write):
    with pytest.raises(BadData, match="not a Parquet file"):
        read_file(write("PAR1 no more", "file.parquet"))


# What a column holds.


@pytest.mark.parametrize(
    ("texts", "sentinels", "kind", "expected"),
    [
        (["1", "2", None], (), "numeric", [1, 2, None]),
        (["1", "2.5", "1e3"], (), "numeric", [1.0, 2.5, 1000.0]),
        ([" 1", "2 "], (), "numeric", [1, 2]),
        (["1", "inf", "-Infinity"], (), "numeric", [1.0, None, None]),
        (["true", "FALSE", None], (), "numeric", [1, 0, None]),
        (["1", "2", "many"], (), "categorical", ["1", "2", "many"]),
        (["0x1F", "1"], (), "categorical", ["0x1F", "1"]),
        (["1,000", "2"], (), "categorical", ["1,000", "2"]),
        (["1", "96", "?"], ("96", "?"), "numeric", [1, 96, None]),
        (["1", "96"], ("96",), "numeric", [1, 96]),
        (["a", "?"], ("?",), "categorical", ["a", "?"]),
        (["?", "?"], ("?",), "numeric", [None, None]),
        ([None, None], (), "numeric", [None, None]),
        (["9007199254740993"], (), "numeric", [9007199254740993]),
        (["99999999999999999999"], (), "numeric", [1e20]),
    ],
)
def test_a_column_is_numeric_if_all_that_is_not_missing_is_a_number(
    texts, sentinels, kind, expected
):
    found = find("x", pa.chunked_array([texts], pa.string()), sentinels)

    assert (found.kind, found.values.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("texts", "is_date"),
    [
        (["2024-01-02", None], True),
        (["2024-01-02T03:04:05Z", "2024-01-02 03:04"], True),
        (["2024-01-02", "soon"], False),
        (["02.01.2024"], False),
    ],
)
def test_iso_dates_are_known(texts, is_date):
    assert find("x", pa.chunked_array([texts])).is_date is is_date


def test_times_are_ordered_by_the_instant_however_they_are_written():
    texts = [
        "2024-01-01T08:30:00+09:00",  # the evening before, in UTC
        "2024-01-01",
        "2024-01-01 00:00:00.000001 UTC",
        "2024-01-01T00:00:01Z",
        "2024-01-01 09:30 +0900",
        "2024-01-01T08:30",
        "2024-01-01 09:00",
    ]

    assert np.diff(instants("t", texts)).min() > 0
    same = ["2024-01-01", "2024-01-01T00:00", "2024-01-01 09:00:00.000+09:00", "2024-01-01 00:00Z"]
    assert len(set(instants("t", same))) == 1


@pytest.mark.parametrize("text", ["soon", "2024-02-30", "2024-01-01 25:00", "0000-00-00"])
def test_a_text_that_is_no_time_is_an_error_that_names_column_and_text(text):
    with pytest.raises(BadData, match=f"time column 't' holds .*{text}"):
        instants("t", ["2024-01-01", text])


def test_identifiers_are_integers_only_where_that_changes_nothing():
    assert as_identifier("id", pa.chunked_array([["7", "12"]])).values.type == pa.int64()
    assert as_identifier("id", pa.chunked_array([["007", "12"]])).values.type == pa.string()
    assert as_identifier("id", pa.chunked_array([["a", "1"]])).values.type == pa.string()


# Roles.


TABLE = pa.table(
    {
        "no": ["1", "2"],
        "when": ["2024-01-01", "2024-01-02"],
        "code": ["1", "2"],
        "x": ["1", "96"],
        "sex": ["f", "m"],
        "y": ["0", "1"],
    }
)


def described(**choices):
    _, columns = describe(
        [TABLE], TABLE.column_names, Choices(**choices), "file", lambda line: None
    )
    return {column.column_name: (column.role, column.kind) for column in columns}


def test_columns_get_the_roles_that_were_chosen():
    found = described(
        target="y",
        id_column="no",
        time_column="when",
        sensitive=("sex",),
        categorical=("code",),
        drop=("x",),
    )

    assert found == {
        "no": ("id", "categorical"),
        "when": ("time", "categorical"),
        "code": ("feature", "categorical"),
        "x": ("ignore", "numeric"),
        "sex": ("sensitive", "categorical"),
        "y": ("target", "numeric"),
    }


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"target": "Y"}, "file has no column 'Y'; did you mean y? its columns are: no, when"),
        ({"target": "z"}, "file has no column 'z'; its columns are: no, when, code, x, sex, y"),
        ({"target": "y", "drop": ("z",)}, "file has no column 'z'"),
        (
            {"target": "y", "categorical": ("code, sex",)},
            "no column 'code, sex'; give the option once for each column; its columns are: no",
        ),
        ({"target": "y", "missing": {"z": ("1",)}}, "file has no column 'z'"),
        ({"target": "y", "id_column": "y"}, "column 'y' cannot be both target and id"),
        ({"target": "y", "time_column": "sex"}, "the time column 'sex' holds texts such as 'f'"),
        (
            {"target": "y", "drop": ("no", "code", "x", "sex")},
            "file has no feature: every column has another role",
        ),
    ],
)
def test_choices_that_do_not_fit_are_errors_that_name_the_column(choices, words):
    with pytest.raises(BadData) as caught:
        described(**choices)
    assert words in str(caught.value)


def test_texts_that_nearly_all_differ_are_mentioned():
    said = []
    table = pa.table({"name": ["a", "b", "c"], "y": ["0", "1", "0"]})
    describe([table], table.column_names, Choices(target="y"), "file", said.append)

    assert said == ["name: 3 different texts; if it identifies rows, name it with --id"]
    said.clear()
    describe([table[:2]], table.column_names, Choices(target="y"), "file", said.append)
    assert said == []  # one applicant, or two


def test_integers_that_number_the_rows_are_mentioned_unless_they_are_named():
    numbers = [3, 1, 5, 2, 4]
    said = "x: 1 to 5, each once; if it identifies rows, name it with --id, for now it is a feature"
    assert _said_of(numbers) == [said]
    assert _said_of([*map(str, numbers)]) == [said]
    for others in ([1, 2, 3, 4, 6], [1, 2, 3, 3, 5], [1, None, 3, 4, 5], [1.0, 2.0, 3.0]):
        assert _said_of(others) == []
    assert _said_of(numbers, id_column="x") == []
    assert _said_of(numbers, drop=("x",)) == []


def test_numbers_as_long_as_those_of_accounts_are_mentioned_if_they_all_differ():
    accounts = [110_437_000_021, 352_118_000_904, 110_200_999_377]
    (said,) = _said_of(accounts)
    assert "110200999377 to 352118000904, each once; if it identifies rows" in said
    (said,) = _said_of([123_456_789_012_345_677 + n for n in (0, 5, 13)])  # no double holds these
    assert said.startswith("x: 123456789012345677 to 123456789012345690, each once")
    (said,) = _said_of([f"{number}00000000" for number in accounts])  # no 64 bits hold these
    assert "each once; if it identifies rows" in said
    for others in (accounts * 2, [*accounts, 12_000, 9_000, 700, 5], [1.1e9, 1.2e9, 1.5e9]):
        assert _said_of(others) == []


def test_one_account_without_a_number_or_with_two_rows_hides_no_others():
    accounts = [110_000_000_000 + 7919 * number for number in range(200)]
    (said,) = _said_of([*accounts, None, 42])  # 42 had zeros before it
    assert "42 to 110001575881, each once; if" in said
    (said,) = _said_of([*accounts, accounts[7]])
    assert "hardly any of them twice; if it identifies rows" in said
    assert _said_of([*accounts, *accounts[:7]]) == []


def _said_of(values, missing=(), **options):
    said = []
    table = pa.table({"x": values, "z": [0.5] * len(values)})
    choices = Choices(target=None, missing={"x": missing}, **options)
    describe([table], table.column_names, choices, "file", said.append, in_order=True)
    return said


def test_a_value_that_makes_texts_of_numbers_is_named():
    numbers = [" 1e3", None, "-2.5", "-1", ".5", *map(str, range(990))]
    ends = "; it becomes categorical: mend that, or name what means missing with --missing"
    assert _said_of([*numbers[:5], "삼백만", *numbers[5:]]) == [
        f"x: 994 of 995 values are numbers, but row 6 holds '삼백만'{ends}"
    ]
    assert _said_of(["-", *numbers, "?"], missing=("-",)) == [
        f"x: 994 of 995 values are numbers, but row 997 holds '?'{ends}"
    ]
    assert _said_of(["-", *numbers], missing=("-",)) == []
    [of_ids] = _said_of(["-", *numbers], categorical=("x",))
    assert of_ids.endswith("name it with --id")


@pytest.mark.parametrize("texts", [8, 5, 4, 1])
def test_a_column_most_of_whose_values_are_numbers_is_told_of_its_texts(texts):
    said = _said_of(["1"] * (10 - texts) + ["a"] * texts)
    assert len(said) == (texts < 5)


@pytest.mark.parametrize("example", ["1,100", "-2,500.5", "94,37", "12.5%", "3,000원", "₩ 1,100"])
def test_numbers_as_people_write_them_are_named(example):
    said = f"numbers with commas or units, such as {example!r}, are 2 of 3 values; it becomes"
    assert _said_of(["100", example, None, example])[0].startswith(f"x: {said}")


@pytest.mark.parametrize(
    "date",
    ["2024.05.18", "2024. 5. 18.", "18/05/2024", "5-18-24", "2024년 5월 18일", "2024/5/18 09:00"],
)
def test_dates_that_are_not_known_as_dates_are_named(date):
    ends = "each becomes a category: write them as 2024-12-31, or name it with --drop"
    assert _said_of(["?", date, None, date]) == [
        f"x: dates such as {date!r} are 2 of 3 values; {ends}"
    ]
    assert _said_of(["?", date, date], categorical=("x",)) != _said_of(["?", date, date])
    assert _said_of(["?", date]) == []


def test_whole_numbers_that_are_dates_are_named():
    ends = "which look like dates; for now they are numbers: name it with --time or --drop"
    dates = [99991231, 20240518, 20241231, None, 19000101]
    assert _said_of(dates) == [f"x: whole numbers such as 20240518, {ends}"]
    for others in ([20240018, 20241318, 20240532, 20240500], [18991231, 21010101], dates[:2]):
        assert _said_of(others * 2) == []


@pytest.mark.parametrize("text", ["A1,100", "1,10,1", "010-123-4567", "%"])
def test_other_texts_are_no_numbers(text):
    assert _said_of([text, f"{text} ", f" {text}"])[0].endswith("name it with --id")


# Names.


def test_table_names_are_plain_and_tell_the_data_set():
    assert table_name("DATA001", 3) == "dc_data_data001_3"
    names = {table_name(group, 1) for group in ("신용", "대출", "a b", "a-b", "x" * 100, "`;--")}
    assert len(names) == 6
    assert all(name.isascii() and len(name) <= 64 for name in names)


def test_the_column_of_row_numbers_takes_a_free_name():
    assert order_column_for(["a"]) == "dc_row_no"
    assert order_column_for(["DC_ROW_NO", "dc_row_no_2"]) == "dc_row_no_3"


def test_awkward_names_are_names():
    names = ["a b", "`", '"', "'", "%s", "%(x)s", ";DROP TABLE dc_batch", "가" * 64, ":x", "?"]

    check_names(names, "file")
