import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadData
from pipeline import preprocess
from pipeline.frames import Categorical, Frame, Numeric
from pipeline.preprocess import fit
from pipeline.rules import CategoricalRule, NumericRule, Preprocessor, from_json, to_json
from storage import arrays
from tests.matrix import apply


def numeric(name, values, missing=()):
    return Numeric(name, np.asarray(values, np.float64), missing)


def categorical(name, values, missing=()):
    categories = tuple(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else categories.index(value) for value in values]
    return Categorical(name, np.array(codes, np.int32), categories, missing)


def frame(*features, roles=None):
    first = features[0]
    n_rows = len(first.values if isinstance(first, Numeric) else first.codes)
    return Frame("G/1", "0" * 64, n_rows, np.zeros(n_rows, np.int8), features, roles=roles)


def everything(of):
    return np.arange(of.n_rows)


def prepared(*features):
    whole = frame(*features)
    fitted = fit(whole, everything(whole))
    return fitted, apply(fitted, whole)


# Statistics come from the training part alone.


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_train=st.integers(20, 60), n_other=st.integers(1, 30))
def test_no_value_outside_the_training_part_changes_what_is_learned(data, n_train, n_other):
    n_rows = n_train + n_other
    rng = np.random.RandomState(data.draw(st.integers(0, 1000)))
    train = np.sort(rng.permutation(n_rows)[:n_train])
    other = np.setdiff1d(np.arange(n_rows), train)
    numbers = np.where(rng.rand(n_rows) < 0.1, np.nan, rng.normal(size=n_rows))
    texts = rng.choice(["a", "b", "c", None], n_rows)
    numbers_after, texts_after = numbers.copy(), texts.copy()
    numbers_after[other] = data.draw(
        st.lists(st.floats(width=64), min_size=n_other, max_size=n_other)
    )
    texts_after[other] = data.draw(
        st.lists(
            st.sampled_from(["a", "b", "c", "new", "", None]), min_size=n_other, max_size=n_other
        )
    )
    before = frame(numeric("x", numbers), categorical("c", texts))
    after = frame(numeric("x", numbers_after), categorical("c", texts_after))

    learned = fit(before, train)

    assert to_json(fit(after, train)) == to_json(learned)
    assert apply(learned, after, train).tobytes() == apply(learned, before, train).tobytes()


def test_statistics_are_those_of_the_training_rows():
    rng = np.random.RandomState(1)
    values = rng.lognormal(size=(1000, 3))
    values[rng.rand(1000, 3) < 0.1] = np.nan
    whole = frame(*(numeric(f"x{i}", values[:, i]) for i in range(3)))
    train = np.sort(rng.permutation(1000)[:500])

    for i, rule in enumerate(fit(whole, train).rules):
        known = values[train, i][~np.isnan(values[train, i])]
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        assert rule.centre == pytest.approx(middle, rel=1e-14)
        assert rule.scale == pytest.approx(high - low, rel=1e-14)


# Numbers.


def test_numbers_are_centred_and_scaled_and_missing_ones_become_the_median():
    fitted, matrix = prepared(numeric("x", [1.0, 2.0, 3.0, 4.0, 5.0, np.nan]))

    assert fitted.feature_names == ("x", "x is missing")
    assert matrix.tolist() == [[-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [1, 0], [0, 1]]


def test_a_value_missing_only_outside_training_becomes_the_median_without_an_indicator():
    whole = frame(numeric("x", [1.0, 2.0, 3.0, np.nan]))
    fitted = fit(whole, np.arange(3))

    assert apply(fitted, whole).tolist() == [[-1], [0], [1], [0]]


def test_sentinels_and_infinities_are_missing():
    fitted, matrix = prepared(numeric("x", [1, 2, 3, 96, 98, np.inf, -np.inf], ("96", "98.0")))

    assert matrix[:, 0].tolist() == [-1, 0, 1, 0, 0, 0, 0]
    assert matrix[:, 1].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert fitted.rules[0].centre == 2


def test_sentinels_of_training_are_missing_in_new_data_that_does_not_know_them():
    fitted = fit(frame(numeric("x", [1, 2, 3, 99], ("99",))), np.arange(4))

    assert apply(fitted, frame(numeric("x", [99, 3]))).tolist() == [[0, 1], [1, 0]]


def test_a_column_whose_middle_half_is_one_value_is_scaled_by_its_standard_deviation():
    values = [0.0] * 90 + [10.0] * 10
    fitted, _ = prepared(numeric("x", values))

    assert fitted.rules[0].scale == pytest.approx(np.std(values))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=40))
def test_whatever_the_numbers_the_matrix_is_finite(values):
    whole = frame(numeric("x", values), numeric("y", np.arange(len(values))))
    matrix = apply(fit(whole, everything(whole)), whole)

    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    assert abs(matrix).max() <= preprocess.SCALED_LIMIT


def test_constant_and_all_missing_columns_are_dropped_and_named():
    fitted, matrix = prepared(
        numeric("same", [7] * 4),
        numeric("nothing", [np.nan] * 4),
        categorical("one", ["a"] * 4),
        categorical("none", [None] * 4),
        numeric("x", [1, 2, 3, 4]),
    )

    assert fitted.feature_names == ("x",)
    assert [dropped.name for dropped in fitted.dropped] == ["same", "nothing", "one", "none"]
    assert matrix.shape == (4, 1)
    constant, missing = "constant in the training part", "missing in every row of the training part"
    assert fitted.unused == (
        f"no model uses nothing ({missing}), none ({missing}), same ({constant}) and 1 more",
    )


def test_a_constant_that_is_sometimes_missing_leaves_its_indicator():
    fitted, matrix = prepared(numeric("x", [7, np.nan, 7]))

    assert fitted.feature_names == ("x is missing",)
    assert matrix.tolist() == [[0], [1], [0]]


def test_no_usable_feature_is_an_error():
    with pytest.raises(BadData, match="no usable feature: all 2 are constant or missing"):
        prepared(numeric("x", [1, 1]), numeric("y", [np.nan, np.nan]))


def test_no_training_rows_is_an_error():
    with pytest.raises(BadData, match="training part has no rows"):
        fit(frame(numeric("x", [1, 2])), np.array([], np.int64))


# Categories.


def test_categories_come_by_frequency_then_name_with_missing_and_rare_ones_last():
    values = ["b"] * 20 + ["c"] * 20 + ["a"] * 30 + ["rare"] * 3 + [None] * 2
    fitted, matrix = prepared(categorical("c", values))

    assert fitted.feature_names == ("c = a", "c = b", "c = c", "c is other", "c is missing")
    assert matrix.sum(axis=0).tolist() == [30, 20, 20, 3, 2]
    assert (matrix.sum(axis=1) == 1).all()


def test_an_unseen_category_is_other_where_training_had_rare_ones():
    fitted = fit(frame(categorical("c", ["a"] * 20 + ["b"] * 20 + ["rare"])), np.arange(41))

    assert apply(fitted, frame(categorical("c", ["new", "a"]))).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_an_unseen_category_is_all_zeros_where_training_had_no_rare_ones():
    fitted = fit(frame(categorical("c", ["a"] * 20 + ["b"] * 20)), np.arange(40))

    assert apply(fitted, frame(categorical("c", ["new", None, "b"]))).tolist() == [
        [0, 0],
        [0, 0],
        [0, 1],
    ]


@pytest.mark.parametrize(
    ("rare", "values", "count"),
    [
        ([], ["new"] * 3 + ["a"] * 97 + [None] * 100, 3),
        ([], ["new"] * 2 + ["a"] * 198, 0),  # 1 %
        ([], ["x", "y", "z"] + ["a"] * 197, 3),
        (["rare"], ["x", "y", "z"] + ["a"] * 197, 0),  # they may be training's rare ones
        (["rare"], ["x", "y", "y", "y"] + ["a"] * 196, 3),
    ],
)
def test_many_rows_of_categories_that_training_had_not_are_told(rare, values, count):
    known = frame(
        numeric("n", [0, 1] * 20 + [1] * len(rare)),
        categorical("c", ["a"] * 20 + ["b"] * 20 + rare),
    )
    fitted = fit(known, everything(known))
    new = frame(categorical("c", values), numeric("n", [np.nan] * 200))

    said = f"c: {count} of 200 rows with a category that training had never or hardly ever"
    assert preprocess.doubts(fitted, new) == ((said,) if count else ())


def test_what_means_missing_in_training_is_no_new_category():
    known = frame(categorical("c", ["a"] * 20 + ["b"] * 20, ("?",)))
    fitted = fit(known, everything(known))

    assert preprocess.doubts(fitted, frame(categorical("c", ["?", "a"]))) == ()


def test_numbers_that_are_no_category_of_training_are_told_and_missing_ones_are_not():
    known = frame(categorical("c", ["01"] * 20 + ["02"] * 20, ("99",)))
    fitted = fit(known, everything(known))

    (said,) = preprocess.doubts(fitted, frame(numeric("c", [1, 2, 3, 99, np.nan])))

    assert said.startswith("c: 1 of 5 rows")


def test_values_that_are_missing_as_none_was_in_training_are_told(monkeypatch):
    known = frame(
        numeric("n", [0, 1] * 20, ("-1",)),
        categorical("c", ["a", "b"] * 20, ("?",)),
        numeric("gap", [0, 1, np.nan, 2] * 10),
        categorical("hole", ["a", "b", None, "b"] * 10),
        categorical("codes", ["1", "2"] * 20, ("9",)),
    )
    fitted = fit(known, everything(known))

    def new(lost, kept):
        return frame(
            numeric("n", [np.nan, -1] * lost + [1] * (200 - 2 * lost)),
            categorical("c", [None, "?", "?"] * lost + ["a"] * (200 - 3 * lost)),
            numeric("gap", [np.nan] * 200),
            categorical("hole", [None] * 200),
            numeric("codes", [9] * kept + [1] * (200 - kept)),
        )

    assert preprocess.gaps(fitted, new(2, 3)) == (
        "c: 6 of 200 rows without a value, which none lacked in training",
        "n: 4 of 200 rows without a value, which none lacked in training",
        "codes: 3 of 200 rows without a value, which none lacked in training",
    )
    assert preprocess.gaps(fitted, new(0, 2)) == ()  # 1 %
    monkeypatch.setattr(preprocess, "_NAMED", 2)
    assert preprocess.gaps(fitted, new(2, 3))[2:] == ("so it is in 1 more",)


def test_ten_thousand_categories_become_at_most_a_hundred_columns():
    rng = np.random.RandomState(2)
    values = [f"category {number}" for number in rng.zipf(1.3, 30_000) % 10_000]
    values += [f"category {number}" for number in range(10_000)]
    fitted, matrix = prepared(categorical("c", values))

    assert matrix.shape[1] <= preprocess.MAX_CATEGORIES + 1
    assert (matrix.sum(axis=1) == 1).all()
    rule = fitted.rules[0]
    counts = [values.count(category) for category in rule.categories]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) >= 40  # 0.1 % of the rows


def test_a_column_of_rare_categories_only_is_dropped():
    fitted, _ = prepared(
        categorical("c", [str(number) for number in range(50)]), numeric("x", range(50))
    )

    assert fitted.unused == ("no model uses c (too many rare categories)",)
    assert prepared(numeric("x", range(50)))[0].unused == ()


def test_sentinels_among_categories_are_missing():
    whole = frame(categorical("c", ["a"] * 10 + ["b"] * 10 + [None] * 5, ("?",)))
    fitted = fit(whole, np.arange(25))

    assert apply(fitted, frame(categorical("c", ["?", "a"]))).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_codes_that_new_data_has_as_numbers_find_their_categories():
    fitted = fit(frame(categorical("c", ["1"] * 20 + ["2.5"] * 20)), np.arange(40))

    found = apply(fitted, frame(numeric("c", [2.5, 1.0, 3.0, np.nan])))

    assert found.tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("codes", [["01", "02"], ["1.0", "2"]])
def test_codes_find_the_category_that_is_the_same_number(codes):
    fitted = fit(frame(categorical("c", codes * 20)), np.arange(40))

    found = apply(fitted, frame(numeric("c", [2, 1, 9])))

    assert found.tolist() == [[0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(("known", "new"), [("{}", "{}.0"), ("{}.0", "{}"), ("0{}.00", "0{}")])
def test_codes_that_new_data_writes_with_or_without_decimals_find_their_categories(known, new):
    codes = [known.format(1)] * 10 + [known.format(2)] * 10 + [None] * 5
    fitted = fit(frame(categorical("c", codes, (known.format(9),))), np.arange(25))

    found = apply(fitted, frame(categorical("c", [*map(new.format, (2, 1, 3, 9)), None])))

    assert found.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_a_code_that_may_be_either_of_two_categories_is_neither():
    fitted = fit(frame(categorical("c", ["1"] * 10 + ["1.0"] * 10)), np.arange(20))

    found = apply(fitted, frame(categorical("c", ["1.00", "1.0", "1", "v1.0"])))

    assert found.tolist() == [[0, 0], [0, 1], [1, 0], [0, 0]]


def test_sentinels_of_codes_are_known_as_numbers():
    whole = frame(categorical("c", ["01"] * 15 + ["02"] * 15 + [None] * 5, ("099",)))
    fitted = fit(whole, np.arange(35))

    assert apply(fitted, frame(numeric("c", [99, 1]))).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("categories", [["a", "b"], ["01", "1"]])
def test_numbers_that_may_be_any_category_are_an_error_that_says_what_to_do(categories):
    fitted = fit(frame(categorical("c", categories * 20)), np.arange(40))

    with pytest.raises(BadData, match=r"G/1: column 'c' .* and 1 is not .*--categorical c"):
        apply(fitted, frame(numeric("c", [np.nan, 1])))
    assert apply(fitted, frame(numeric("c", [np.nan]))).tolist() == [[0, 0]]


def test_a_sentinel_word_of_the_training_set_is_missing_where_new_data_is_text():
    fitted = fit(frame(numeric("x", [1, 2, 3, np.nan], ("unknown",))), np.arange(4))

    found = apply(fitted, frame(categorical("x", ["3", "unknown", " 1 "])))

    assert found.tolist() == [[1, 0], [0, 1], [-1, 0]]


def test_a_text_that_no_row_has_does_not_matter():
    fitted = fit(frame(numeric("x", [1, 2, 3])), np.arange(3))
    gone = Categorical("x", np.array([0, -1], np.int32), ("3", "?"), ("?",))

    assert apply(fitted, frame(gone)).tolist() == [[1], [0]]


@pytest.mark.parametrize("text", ["1_000", "0x1F", "many", "true"])
def test_numbers_in_text_are_those_that_a_load_reads(text):
    fitted = fit(frame(numeric("x", [1, 2, 3])), np.arange(3))

    with pytest.raises(BadData, match=rf"column 'x' holds '{text}', but was numeric"):
        apply(fitted, frame(categorical("x", ["1", text])))


def test_numbers_that_new_data_has_as_text_are_read_as_numbers():
    fitted = fit(frame(numeric("x", [1, 2, 3])), np.arange(3))

    assert apply(fitted, frame(categorical("x", ["3", None, "1.0"]))).tolist() == [[1], [0], [-1]]


def test_whole_numbers_of_more_digits_than_a_double_has_are_read_as_the_nearest():
    long, next_to_it = str(2**53 + 1), str(2**53)
    fitted = fit(frame(numeric("x", [0, 1, 2])), np.arange(3))
    assert apply(fitted, frame(categorical("x", [long, "1"]))).tolist() == [[1e6], [0]]

    codes = fit(frame(categorical("c", [long, next_to_it, "q"] * 10)), np.arange(30))
    with pytest.raises(BadData, match="is not clearly one of the categories"):
        apply(codes, frame(numeric("c", [float(long)])))


def test_text_where_training_had_numbers_is_an_error_that_names_both():
    fitted = fit(frame(numeric("x", [1, 2, 3])), np.arange(3))

    with pytest.raises(
        BadData, match=r"column 'x' holds 'many', but was numeric.*--missing x=many$"
    ):
        apply(fitted, frame(categorical("x", ["1", "many"])))
    with pytest.raises(BadData, match=r"holds '1,169', but .*; write 1169 for it in the file"):
        apply(fitted, frame(categorical("x", ["1", "1,169"])))


# Columns of new data.


def test_extra_columns_are_ignored_and_order_does_not_matter():
    a, b, c = (numeric(name, np.random.RandomState(i).rand(9)) for i, name in enumerate("abc"))
    fitted = fit(frame(a, b), np.arange(9))

    assert (apply(fitted, frame(c, b, a)) == apply(fitted, frame(a, b))).all()


def test_a_missing_feature_column_is_an_error_that_names_it():
    fitted = fit(frame(numeric("a", [1, 2, 3]), numeric("b", [1, 2, 3])), np.arange(3))

    with pytest.raises(BadData, match="G/1 has no feature 'b', which the models were trained on"):
        apply(fitted, frame(numeric("a", [1])))


def test_of_many_missing_feature_columns_the_first_are_named():
    fitted = fit(frame(*(numeric(f"c{i}", [1, 2, 3]) for i in range(12))), np.arange(3))

    for left, said in (
        (10, r"'c10', nor 'c11', which"),
        (1, r"'c1', nor 'c2', .*'c10', \.\.\., which"),
    ):
        there = (numeric(f"c{i}", [1]) for i in range(left))
        with pytest.raises(BadData, match=f"has no feature {said} the models"):
            apply(fitted, frame(*there))


def test_a_feature_that_has_another_role_in_new_data_is_an_error_that_says_so():
    fitted = fit(frame(numeric("a", [1, 2, 3]), numeric("b", [1, 2, 3])), np.arange(3))

    with pytest.raises(BadData, match=r"no feature 'b' \(it is there, but with role ignore\)"):
        apply(fitted, frame(numeric("a", [1]), roles={"a": "feature", "b": "ignore"}))


def test_a_column_that_was_dropped_in_training_may_be_absent():
    fitted = fit(frame(numeric("a", [1, 2, 3]), numeric("b", [5, 5, 5])), np.arange(3))

    assert apply(fitted, frame(numeric("a", [2]))).tolist() == [[0]]


# The matrix and the JSON.


def test_the_matrix_is_float32_row_by_row_for_the_rows_asked_for_in_their_order():
    rng = np.random.RandomState(5)
    n_rows = 40_000  # more than two blocks
    whole = frame(numeric("x", rng.rand(n_rows)), categorical("c", rng.choice(list("abc"), n_rows)))
    fitted = fit(whole, np.arange(0, n_rows, 2))
    matrix = apply(fitted, whole)
    rows = rng.permutation(n_rows)[:30_000]

    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert (apply(fitted, whole, rows) == matrix[rows]).all()


def test_json_gives_back_the_same_preparation():
    rng = np.random.RandomState(6)
    whole = frame(
        numeric("수입 \"'`%", np.where(rng.rand(100) < 0.2, np.nan, rng.normal(size=100)), ("-1",)),
        categorical("직업", rng.choice(["가", "나", "c=d"], 100), ("?",)),
        numeric("constant", [1] * 100),
    )
    fitted = fit(whole, np.arange(100))
    again = from_json(to_json(fitted))

    assert again == fitted
    assert to_json(again) == to_json(fitted)
    assert (apply(again, whole) == apply(fitted, whole)).all()


def test_preparations_of_format_1_can_be_read_for_ever():
    stored = (
        '{"format":1,"rules":[{"kind":"numeric","name":"x","missing_values":["96"],"centre":2.0,'
        '"scale":4.0,"value":true,"indicator":true},{"kind":"categorical","name":"c",'
        '"missing_values":[],"categories":["a","b"],"other":true,"missing":false}],'
        '"dropped":[{"name":"z","reason":"constant in the training part"}],'
        '"feature_names":["x","x is missing","c = a","c = b","c is other"]}'
    )
    fitted = from_json(stored)

    assert to_json(fitted) == stored
    matrix = apply(fitted, frame(numeric("x", [4, 96]), categorical("c", ["b", "new"])))
    assert matrix.tolist() == [[0.5, 0, 0, 1, 0], [0, 1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "cannot be read"),
        ("not JSON", "cannot be read"),
        ('{"format": 2}', "has format 2; this version reads 1"),
        ('{"format": 1, "rules": [{"kind": "numeric"}], "dropped": []}', "cannot be read"),
    ],
)
def test_text_that_is_no_preparation_is_an_error(text, words):
    with pytest.raises(BadData, match=words):
        from_json(text)


def test_names_of_matrix_columns_are_unique_even_if_columns_imitate_them():
    rule = NumericRule("c = a", (), 0.0, 1.0, value=True, indicator=False)
    imitated = CategoricalRule("c", (), ("a", "b"), other=False, missing=False)
    fitted = Preprocessor((rule, imitated), ())

    assert fitted.feature_names == ("c = a", "c = a (2)", "c = b")
    assert json.loads(to_json(fitted))["feature_names"] == ["c = a", "c = a (2)", "c = b"]


def test_only_features_are_used():
    whole = frame(numeric("x", [1, 2, 3]))

    assert fit(replace(whole, time=np.arange(3)), np.arange(3)) == fit(whole, np.arange(3))


def test_a_matrix_written_block_by_block_is_the_one_made_as_a_whole(tmp_path):
    rng = np.random.default_rng(0)
    n_rows = 40_000  # several blocks
    whole = frame(
        numeric("x", rng.normal(size=n_rows)),
        categorical("c", list(rng.choice(["a", "b"], n_rows))),
    )
    rows = rng.permutation(n_rows)[:35_000]
    fitted = fit(whole, rows)
    matrix = apply(fitted, whole, rows)

    arrays.save_matrix(
        tmp_path / "blocks.npy",
        preprocess.shape(fitted, whole, rows),
        preprocess.blocks(fitted, whole, rows),
    )
    np.save(tmp_path / "whole.npy", matrix)

    assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert np.array_equal(arrays.open_matrix(tmp_path / "blocks.npy"), matrix)
