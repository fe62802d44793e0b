import pyarrow as pa
import pytest

from configs.errors import BadData
from pipeline.labels import classes_of
from storage.content import canonical
from storage.records import DatasetColumn


def labels(values, kind="numeric", positive=None, missing=()):
    column = DatasetColumn(
        column_name="y", position=1, role="target", kind=kind, missing_values=missing
    )
    rows = canonical(pa.table({"y": values}), [column])
    return classes_of(rows.column("y"), column, positive, "G/1")[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1], "numeric"),
        ([0.0, 1.0, 1.0], "numeric"),
        (["0", "1", "1"], "numeric"),
        (["0", "1", "1.0"], "categorical"),
        (["false", "True", "TRUE"], "numeric"),
        (["false", "True", "TRUE"], "categorical"),
    ],
)
def test_zero_and_one_are_labels_in_any_form(values, kind):
    found = labels(pa.array(values), kind)

    assert found.tolist() == [0, 1, 1]
    assert found.dtype == "int8"


def test_a_positive_value_makes_labels_of_any_two_values():
    assert labels(pa.array(["good", "bad"]), "categorical", "bad").tolist() == [0, 1]
    assert labels(pa.array([1, 2, 2]), "numeric", "2").tolist() == [0, 1, 1]
    assert labels(pa.array([0, 1]), "numeric", "0").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "kind", "positive", "missing", "words"),
    [
        ([0, None, 1], "numeric", None, (), "'y' of G/1 has 1 missing value;"),
        ([0, 9, 1, 9], "numeric", None, ("9",), "has 2 missing values"),
        (["a", None], "categorical", "a", (), "has 1 missing value;"),
        (
            ["good", "bad"],
            "categorical",
            None,
            (),
            "'bad', 'good', not 0 and 1; say which means 1: --positive bad or --positive good",
        ),
        ([1, 2], "numeric", None, (), "say which means 1: --positive 1 or --positive 2"),
        ([0, 1, 2], "numeric", None, (), "holds 3 different values ('0', '1', '2'), not 0 and 1"),
        ([0.25, 0.25], "numeric", None, (), "holds '0.25', not 0 and 1"),
        (["a", "b"], "categorical", "c", (), "never is 'c'; its values are 'a', 'b'"),
        (
            ["a", "b", "c"],
            "categorical",
            "c",
            (),
            "has 3 different values ('a', 'b', 'c'), not two",
        ),
    ],
)
def test_a_target_that_is_no_label_is_an_error_that_names_the_remedy(
    values, kind, positive, missing, words
):
    with pytest.raises(BadData) as caught:
        labels(pa.array(values), kind, positive, missing)
    assert words in str(caught.value)
