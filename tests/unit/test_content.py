import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadData
from storage.content import (
    canonical,
    columns_in,
    content_sha256,
    digests,
    digests_of_stored,
    of_digests,
)
from storage.records import DatasetColumn
from storage.rows import arrange


def columns(**kinds):
    return [
        DatasetColumn(column_name=name, position=position, role="feature", kind=kind)
        for position, (name, kind) in enumerate(kinds.items(), 1)
    ]


NUMBER = columns(x="numeric")
TEXT = columns(x="categorical")


def sha(values, described):
    table = pa.table({"x": values})
    return content_sha256(canonical(table, described), described)


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=30),
    texts=st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
def test_the_hash_does_not_depend_on_how_arrow_holds_the_values(numbers, texts, cut):
    for values, kind, described in (
        (numbers, pa.float64(), NUMBER),
        (texts, pa.string(), TEXT),
    ):
        whole = pa.array(values, kind)
        padded = pa.array([values[0], *values, values[0]], kind)[1:-1]
        chunks = pa.chunked_array([whole[:cut], whole[cut:]])

        assert sha(chunks, described) == sha(whole, described) == sha(padded, described)
        assert sha(whole.cast(pa.large_string() if described is TEXT else kind), described) == sha(
            whole, described
        )


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.text(max_size=3))),
        min_size=1,
        max_size=20,
    ),
    dice=st.randoms(use_true_random=False),
)
def test_digests_of_stored_columns_are_those_of_canonical_ones_in_the_same_order(rows, dice):
    described = columns(n="numeric", x="categorical")
    numbers, texts = zip(*rows, strict=True)
    types = (pa.float64(), pa.string())
    stored = pa.table([pa.array(numbers, types[0]), pa.array(texts, types[1])], names=["n", "x"])
    order = dice.sample(range(len(rows)), len(rows))
    rows_in_order = canonical(stored, described).take(order).combine_chunks()

    found = digests_of_stored(stored, described)
    assert found == digests(canonical(stored, described), described)
    assert of_digests(found, len(rows)) == content_sha256(canonical(stored, described), described)
    assert digests_of_stored(stored, described, pa.array(order)) == digests(
        rows_in_order, described
    )


def test_the_hash_of_a_slice_is_that_of_its_rows():
    table = pa.table({"x": ["a", "bc", None, "d"], "n": [1.0, 2.0, 3.0, 4.0]})
    described = columns(x="categorical", n="numeric")
    sliced = canonical(table, described).slice(1, 2)

    assert content_sha256(sliced, described) == content_sha256(
        canonical(table.take([1, 2]), described), described
    )
    assert content_sha256(canonical(table, described).slice(0, 2), described) == content_sha256(
        canonical(table.take([0, 1]), described), described
    )


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (pa.array([0.0, 1.0]), pa.array([-0.0, 1.0])),
        (pa.array([None, 1.0]), pa.array([float("nan"), 1.0])),
        (pa.array([None, 1.0]), pa.array([float("inf"), 1.0])),
        (pa.array([1, 2]), pa.array([1.0, 2.0])),
        (pa.array(["1", " 2.0 "]), pa.array([1.0, 2.0])),
        (pa.array(np.array([0x7FF8000000000001], np.uint64).view(np.float64)), pa.array([np.nan])),
    ],
)
def test_numbers_that_mean_the_same_hash_the_same(one, same):
    assert sha(one, NUMBER) == sha(same, NUMBER)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (pa.array(["1", "20"]), pa.array([1, 20])),
        (pa.array(["1", "20"]), pa.array([1.0, 20.0])),
        (pa.array(["0.5", None]), pa.array([0.5, float("nan")])),
        (pa.array(["123456789012"]), pa.array([123456789012.0])),
        (pa.array(["9007199254740993"]), pa.array([9007199254740993])),
        (pa.array(["", "a"]), pa.array([None, "a"])),
    ],
)
def test_texts_that_mean_the_same_hash_the_same(one, same):
    assert sha(one, TEXT) == sha(same, TEXT)


@pytest.mark.parametrize(
    ("one", "other", "described"),
    [
        ([1.0, 2.0], [2.0, 1.0], NUMBER),
        ([1.0, 2.0], [1.0], NUMBER),
        ([1.0], [1.0000000000000002], NUMBER),
        ([None, 1.0], [0.0, 1.0], NUMBER),
        (["ab", "c"], ["a", "bc"], TEXT),
        (["a", None], [None, "a"], TEXT),
        (["a"], ["A"], TEXT),
        (["가"], ["나"], TEXT),
        (["1"], ["1.0"], TEXT),
    ],
)
def test_rows_that_differ_hash_differently(one, other, described):
    assert sha(pa.array(one), described) != sha(pa.array(other), described)


def test_names_kinds_and_order_of_columns_count():
    table = pa.table({"a": [1, 2], "b": [1, 2], "c": [1, 2]})
    hashes = {
        content_sha256(canonical(table, described), described)
        for described in (
            columns(a="numeric", b="numeric"),
            columns(b="numeric", a="numeric"),
            columns(a="numeric", c="numeric"),
            columns(a="numeric", b="categorical"),
            columns(a="numeric"),
        )
    }

    assert len(hashes) == 5


def test_the_hash_stays_the_same_from_release_to_release():
    table = pa.table({"수": [1, None, 2.5], "글": ["가", "b", None]})
    described = columns(수="numeric", 글="categorical")

    assert content_sha256(canonical(table, described), described) == (
        "5b6c7c2384ff28cb779331c8694530cbc5c883dac44e1dcc22c670a91bb87621"
    )


def test_text_in_a_numeric_column_is_an_error_that_names_it():
    with pytest.raises(BadData, match="column 'x' is registered as numeric but holds text"):
        sha(pa.array(["1", "many"]), NUMBER)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(6)))
def test_rows_without_an_order_are_sorted_by_all_their_values(order):
    table = pa.table(
        {
            "x": [1.0, 1.0, float("nan"), 1.0, -1.0, 1.0],
            "t": ["b", "a", "z", None, "a", "a"],
            "y": [0, 1, 0, 1, 0, 1],
        }
    )
    described = columns(x="numeric", t="categorical", y="numeric")
    expected = arrange(columns_in(table), described, None, None)

    found = arrange(columns_in(table.take(pa.array(order))), described, None, None)

    assert content_sha256(found, described) == content_sha256(expected, described)


def test_an_id_orders_rows_and_must_be_unique():
    described = columns(id="categorical", x="numeric")
    table = pa.table({"id": [10, 9, 1], "x": [1.0, 2.0, 3.0]})

    assert arrange(columns_in(table), described, None, "id").column("x").to_pylist() == [3, 1, 2]
    twice = pa.table({"id": [10, 9, 9], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(BadData, match="id column 'id' is not unique: '9' stands in more than one"):
        arrange(columns_in(twice), described, None, "id")
    gaps = pa.table({"id": [10, None, 9], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(BadData, match="id column 'id' has 1 missing value;"):
        arrange(columns_in(gaps), described, None, "id")


def test_a_column_of_row_numbers_orders_rows():
    described = columns(x="numeric")
    table = pa.table({"no": [3, 1, 2], "x": [30.0, 10.0, 20.0]})

    assert arrange(columns_in(table), described, "no", None).column("x").to_pylist() == [10, 20, 30]
    with pytest.raises(BadData, match="equal values"):
        arrange(
            columns_in(pa.table({"no": [3, 1, 3], "x": [1.0, 2.0, 3.0]})), described, "no", None
        )
