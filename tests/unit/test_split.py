import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadData, BadParameter
from pipeline.split import Parts, doubts, make_split, split_id

DEFAULTS = {
    "test_size": 0.3,
    "validation_size": 0.2,
    "split_by": "random",
    "stratify": True,
    "seed": 42,
}


def labels(n_rows, share=0.3):
    y = np.zeros(n_rows, np.int8)
    y[: round(n_rows * share)] = 1
    return np.random.RandomState(0).permutation(y)


def split(y, **arguments):
    return make_split(y, **(DEFAULTS | arguments))


def assert_partition(parts, n_rows):
    together = np.concatenate([parts.train, parts.valid, parts.test])
    assert sorted(together.tolist()) == list(range(n_rows))
    for rows in (parts.train, parts.valid, parts.test):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.integers(30, 400),
    share=st.floats(0.2, 0.8),
    test_size=st.floats(0.1, 0.6),
    validation_size=st.floats(0.1, 0.6),
    seed=st.integers(0, 2**40),
    stratify=st.booleans(),
    split_by=st.sampled_from(["random", "time", "group"]),
)
def test_every_row_is_in_exactly_one_part(
    n_rows, share, test_size, validation_size, seed, stratify, split_by
):
    y = labels(n_rows, share)
    numbers = np.random.RandomState(1).randint(0, n_rows // 3, n_rows).astype(np.int64)
    try:
        parts = split(
            y,
            test_size=test_size,
            validation_size=validation_size,
            seed=seed,
            stratify=stratify,
            split_by=split_by,
            time=numbers,
            groups=numbers,
        )
    except BadParameter:
        return  # a part with one class: refused, never returned
    assert_partition(parts, n_rows)
    for rows in (parts.train, parts.valid, parts.test):
        assert set(y[rows]) == {0, 1}


def test_sizes_are_shares_of_all_rows_and_of_what_is_left():
    parts = split(labels(30_000, 0.2212))

    assert [len(parts.train), len(parts.valid), len(parts.test)] == [16_800, 4_200, 9_000]


def test_sizes_may_be_counts():
    parts = split(labels(1000), test_size=100, validation_size=50.0)

    assert [len(parts.train), len(parts.valid), len(parts.test)] == [850, 50, 100]


def test_a_share_that_is_whole_but_for_rounding_is_not_rounded_up():
    assert len(split(labels(100), test_size=0.07).test) == 7


def test_stratified_parts_have_the_share_of_positives_to_the_nearest_row():
    y = labels(1000, 0.137)
    parts = split(y)

    for rows in (parts.train, parts.valid, parts.test):
        assert abs(y[rows].sum() - 0.137 * len(rows)) <= 1


def test_unstratified_parts_are_drawn_without_regard_to_the_label():
    y = labels(1000)

    drawn = {int(y[split(y, stratify=False, seed=seed).test].sum()) for seed in range(5)}

    assert len(drawn) > 1


def test_equal_seeds_give_equal_parts_and_other_seeds_others():
    y = labels(500)

    assert split_id(split(y), "c", y) == split_id(split(y), "c", y)
    assert split_id(split(y), "c", y) != split_id(split(y, seed=43), "c", y)


def test_a_split_stays_the_same_from_release_to_release():
    parts = split(np.tile(np.array([0, 0, 1], np.int8), 10))

    assert parts.test.tolist() == [4, 8, 14, 15, 17, 21, 25, 27, 28]
    assert parts.valid.tolist() == [1, 9, 10, 26, 29]


def test_time_trains_on_the_oldest_and_judges_on_the_newest():
    time = np.random.RandomState(3).permutation(1000).astype(np.int64)
    parts = split(labels(1000), split_by="time", time=time)

    assert time[parts.train].max() < time[parts.valid].min()
    assert time[parts.valid].max() < time[parts.test].min()
    assert [len(parts.train), len(parts.valid), len(parts.test)] == [560, 140, 300]


def test_rows_of_one_time_stay_together():
    months = np.repeat(np.arange(7), [10, 30, 20, 20, 25, 15, 40]).astype(np.int64)
    parts = split(labels(160), split_by="time", time=months, test_size=0.3)

    assert set(months[parts.test]) == {5, 6}  # 55 rows; 48 were asked for, and 40 is further off
    assert set(months[parts.valid]) == {4}
    assert set(months[parts.train]) == {0, 1, 2, 3}


@pytest.mark.parametrize("validation_size", [0.01, 0.2, 0.9])
def test_three_times_are_the_fewest_and_make_a_part_each(validation_size):
    times = np.repeat(np.arange(3), [50, 45, 5]).astype(np.int64)
    y = np.tile(np.array([0, 1], np.int8), 50)
    parts = split(y, split_by="time", time=times, validation_size=validation_size)

    assert [len(parts.train), len(parts.valid), len(parts.test)] == [50, 45, 5]


def test_no_group_is_in_two_parts():
    groups = np.random.RandomState(4).randint(0, 90, 1000).astype(np.int64)
    parts = split(labels(1000), split_by="group", groups=groups)

    found = [set(groups[rows]) for rows in (parts.train, parts.valid, parts.test)]
    assert sum(map(len, found)) == len(set(groups))
    assert abs(len(parts.test) - 300) < 20
    assert abs(len(parts.valid) - 140) < 20


def test_one_huge_group_still_leaves_three_parts():
    groups = np.array([0] * 900 + [1] * 50 + [2] * 50, np.int64)
    parts = split(labels(1000), split_by="group", groups=groups)

    assert_partition(parts, 1000)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"test_size": 100}, BadParameter, "testSize: 100 of 100 rows"),
        ({"test_size": 99}, BadParameter, "validationSize"),
        ({"test_size": 1.5}, BadParameter, "testSize: 1.5 is neither"),
        ({"validation_size": 70}, BadParameter, "validationSize: 70 of 70 rows"),
        ({"validation_size": 1e-12}, BadParameter, "validationSize"),
        ({"split_by": "time"}, BadData, "no time column"),
        ({"split_by": "group"}, BadData, "no group column"),
        ({"split_by": "time", "time": np.full(100, -1)}, BadData, "100 missing values"),
        ({"split_by": "time", "time": np.arange(100) // 50}, BadData, "2 different times"),
        ({"split_by": "group", "groups": np.arange(100) // 50}, BadData, "2 groups"),
        ({"test_size": 1, "validation_size": 1}, BadParameter, "of class"),
    ],
)
def test_what_cannot_be_split_is_an_error_that_says_why(arguments, error, words):
    with pytest.raises(error, match=words):
        split(labels(100), **arguments)


def test_one_class_alone_is_an_error():
    with pytest.raises(BadData, match="one class only: all 10 rows are 0"):
        split(np.zeros(10, np.int8))


def test_one_positive_cannot_be_in_three_parts():
    y = np.zeros(100, np.int8)
    y[50] = 1

    with pytest.raises(BadParameter, match=r"are of class 0; change testSize or validationSize$"):
        split(y)
    with pytest.raises(BadParameter, match=r"validationSize, or set stratify$"):
        split(y, stratify=False)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("training", slice(0, 56)), ("valid", slice(56, 70)), ("test", slice(70, 100))],
)
def test_a_part_of_one_class_is_named(name, rows):
    y = np.tile(np.array([0, 1], np.int8), 50)
    y[rows] = 1
    count = rows.stop - rows.start

    with pytest.raises(BadParameter) as caught:
        split(y, split_by="time", time=np.arange(100))
    assert str(caught.value) == (
        f"splitBy time: all {count} rows of the {name} part are of class 1; "
        "change testSize, validationSize or splitBy"
    )


def test_a_split_id_depends_on_content_on_labels_and_on_every_part():
    y = np.array([0, 1, 0, 1], np.int8)
    parts = Parts(np.array([0, 1]), np.array([2]), np.array([3]))
    others = [
        Parts(np.array([0, 2]), np.array([1]), np.array([3])),
        Parts(np.array([0]), np.array([1, 2]), np.array([3])),
        Parts(np.array([0, 1]), np.array([3]), np.array([2])),
    ]
    ids = {split_id(parts, "a", y), split_id(parts, "b", y), split_id(parts, "a", 1 - y)}
    ids |= {split_id(other, "a", y) for other in others}

    assert len(ids) == 6
    assert all(len(identity) == 64 for identity in ids)


@pytest.mark.parametrize(
    ("valid", "test", "said"),
    [
        ((10, 10), (50, 10), ()),
        ((30, 9), (50, 10), ("class 1 in 9 of 39 rows of valid",)),
        ((30, 10), (1, 80), ("class 0 in 1 of 81 rows of test",)),
        ((0, 5), (50, 3), ("class 0 in 0 of 5 rows of valid and class 1 in 3 of 53 rows of test",)),
    ],
)
def test_parts_with_few_rows_of_a_class_are_doubted(valid, test, said):
    y = np.repeat([0, 1, 0, 1, 0, 1], [2, 2, *valid, *test]).astype(np.int8)
    parts = Parts(*np.split(np.arange(len(y)), [4, 4 + sum(valid)]))

    assert doubts(parts, y) == tuple(f"{each}: figures of so few are luck" for each in said)
