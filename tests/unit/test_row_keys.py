import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import preprocess, row_keys
from pipeline.frames import frame_of
from storage.content import canonical
from storage.records import Dataset, DatasetColumn

COLUMNS = {"income": "numeric", "debt": "numeric", "지역": "categorical", "y": "numeric"}
TEXTS = ["서울", "부산", "대구", None]


def frame(table, **kinds):
    """Of a table with the target y; `kinds`: of columns that others do not have."""
    known = {unicodedata.normalize("NFD", name): kind for name, kind in COLUMNS.items()} | COLUMNS
    columns = tuple(
        DatasetColumn(
            column_name=name,
            position=position,
            role="target" if name == "y" else "feature",
            kind=(known | kinds)[name],
        )
        for position, name in enumerate(table.column_names, 1)
    )
    dataset = Dataset(
        dataset_group="G",
        dataset_version=1,
        table_name="t",
        target_column="y",
        positive_value=None,
        id_column=None,
        time_column=None,
        order_column=None,
        n_rows=table.num_rows,
        positive_rate=None,
        content_sha256=64 * "0",
        columns=columns,
    )
    return frame_of(dataset, canonical(table, columns))


def rows(seed=0, n_rows=60):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "income": np.where(rng.random(n_rows) < 0.2, 0.0, rng.normal(size=n_rows)),
            "debt": pa.array(
                np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(size=n_rows)), pa.float64()
            ),
            "지역": pa.array([TEXTS[i] for i in rng.choice(4, n_rows, p=[0.3, 0.3, 0.3, 0.1])]),
            "y": np.resize([0, 1], n_rows),
        }
    )


TRAINED = frame(rows(n_rows=300))
FITTED = preprocess.fit(TRAINED, np.arange(300))


def keys(table, **kinds):
    return row_keys.of(preprocess.blocks(FITTED, frame(table, **kinds)))


def put(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def unsigned_and_missing(table):
    """Zeros as -0.0, and what is missing as null instead of NaN."""
    income, debt = (table[name].to_numpy() for name in ("income", "debt"))
    table = put(table, "income", pa.array(np.where(income == 0, -0.0, income)))
    return put(table, "debt", pa.array(debt, from_pandas=True))


def decomposed(table):
    texts = [text and unicodedata.normalize("NFD", text) for text in table["지역"].to_pylist()]
    names = [unicodedata.normalize("NFD", name) for name in table.column_names]
    return put(table, "지역", pa.array(texts)).rename_columns(names)


def in_chunks(table):
    return pa.concat_tables([table.slice(0, 7), table.slice(7, 1), table.slice(8)])


GUISES = {
    "columns in another order": lambda table: table.select(table.column_names[::-1]),
    "one column more": lambda table: table.append_column("extra", pa.array(range(len(table)))),
    "no sign of zero": unsigned_and_missing,
    "Unicode decomposed": decomposed,
    "several chunks": in_chunks,
}


@pytest.mark.parametrize("guise", GUISES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_row_has_its_key_in_every_guise(guise, seed):
    table = rows(seed)

    np.testing.assert_array_equal(keys(GUISES[guise](table), extra="numeric"), keys(table))


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(60)))
def test_a_row_has_its_key_at_every_place(order):
    table = rows()

    np.testing.assert_array_equal(keys(table.take(order)), keys(table)[order])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_rows_that_models_tell_apart_have_other_keys(data):
    table, row = rows(), data.draw(st.integers(0, 59))
    name = data.draw(st.sampled_from(["income", "debt", "지역"]))
    values = table[name].to_pylist()
    other = st.sampled_from(TEXTS) if name == "지역" else st.floats(-3, 3, width=16)
    values[row] = data.draw(other.filter(lambda value: value != values[row]))
    before, after = keys(table), keys(put(table, name, pa.array(values)))

    same = np.flatnonzero(before == after)
    np.testing.assert_array_equal(same, np.delete(np.arange(60), row))


def test_a_million_rows_of_zeros_and_ones_have_as_many_keys():
    bits = np.unpackbits(np.arange(2**20, dtype=">u4").view(np.uint8).reshape(-1, 4), axis=1)

    assert len(np.unique(row_keys.of([bits.astype(np.float32)]))) == 2**20


def test_a_zero_has_no_sign():
    plus, minus = (row_keys.of([np.array([[1, zero]], np.float32)]) for zero in (0.0, -0.0))

    assert plus == minus


def test_keys_are_those_that_earlier_releases_wrote_down():
    matrix = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [0.1, -2.5, 1e6]], np.float32)

    assert [f"{key:016x}" for key in row_keys.of([matrix[:3], matrix[3:]])] == [
        "0000000000000000",
        "bb390d2c358139e4",
        "90aac6fb63800000",
        "304f3e2cf063e795",
    ]


@pytest.mark.parametrize(
    ("learned", "natural", "count"),
    [
        (0, 0, 0),
        (10, 0, 0),
        (11, 0, 11),
        (1000, 0, 1000),
        (11, 10, 0),  # 10 of 1000 twins by chance make 20 of 1000 nothing to tell of
        (20, 10, 0),
        (21, 10, 21),
        (700, 300, 700),
        (1000, 500, 0),  # nothing can be told
    ],
)
def test_equal_rows_are_told_unless_twins_are_as_common_among_rows_not_learned(
    learned, natural, count
):
    known, strange = np.arange(1000, dtype=np.uint64), np.arange(1000, 2000, dtype=np.uint64)
    new = np.concatenate([known[:learned], strange[learned:]])
    aside = np.concatenate([known[:natural], strange[natural:]])

    said = f"{count:,} of 1,000 rows equal rows learned from: metrics on them flatter"
    assert row_keys.doubts(new, known, aside) == ((said,) if count else ())


def test_of_equal_rows_each_counts():
    known, strange = np.arange(1000, dtype=np.uint64), np.arange(1000, 2000, dtype=np.uint64)
    one = np.where(known < 500, known[0], strange)

    said = "500 of 1,000 rows equal rows learned from: metrics on them flatter"
    assert row_keys.doubts(one, known, strange) == (said,)
    assert row_keys.doubts(one, known, one) == ()


@pytest.mark.parametrize(("twins", "told"), [(0, False), (10, False), (11, True), (1000, True)])
def test_rows_set_aside_that_equal_rows_of_train_are_told(twins, told):
    learned, aside = np.arange(500, dtype=np.uint64), np.arange(1000, 2000, dtype=np.uint64)
    aside[:twins] = learned[7]

    said = f"{twins:,} of 1,000 rows of valid and test equal rows of train"
    assert row_keys.twins(learned, aside) == ((said,) if told else ())
