"""What a train batch says of rows set aside that hold what no row of train did."""

import numpy as np
import pytest

from pipeline import preprocess, unseen
from pipeline.frames import Categorical, Frame, Numeric
from pipeline.split import Parts

TRAIN, ASIDE = 400, 200
PARTS = Parts(np.arange(TRAIN), np.arange(TRAIN, TRAIN + 50), np.arange(TRAIN + 50, TRAIN + ASIDE))
CATEGORY = "of valid and test with a category that train never had"
GAP = "of valid and test without a value, which none of train lacked"


def said(*features):
    frame = Frame("D/1", "0" * 64, TRAIN + ASIDE, None, features)
    return unseen.doubts(preprocess.fit(frame, PARTS.train), frame, PARTS)


def branches(*aside, train="AB"):
    words = [*(train * TRAIN)[:TRAIN], *aside, *"A" * (ASIDE - len(aside))]
    known = sorted({word for word in words if word != "-"})
    codes = [known.index(word) if word != "-" else -1 for word in words]
    return Categorical("지점", np.array(codes, np.int32), tuple(known))


def amounts(aside, train=0):
    values = np.arange(TRAIN + ASIDE, dtype=np.float64)
    values[TRAIN : TRAIN + aside] = np.nan
    values[:train] = np.nan
    return Numeric("amount", values)


@pytest.mark.parametrize(
    ("aside", "count"), [("CC", 0), ("CCC", 3), ("CDE", 3), ("--CCC--", 3), ("B" * 50, 0)]
)
def test_categories_that_train_never_had_are_told_if_they_are_many(aside, count):
    found = said(branches(*aside))
    assert found[:1] == ((f"지점: {count} of 200 rows {CATEGORY}",) if count else found[:0])


def test_where_train_had_rare_categories_others_are_told_that_are_not_rare():
    rare = "AB" * 40 + "xyz"
    assert said(branches(*"CDEFGHIJ", train=rare)) == ()
    assert said(branches(*"CCCDE", train=rare)) == (f"지점: 3 of 200 rows {CATEGORY}",)
    assert said(branches(*"xxxyyy", train=rare)) == ()


@pytest.mark.parametrize(("aside", "train", "count"), [(2, 0, 0), (3, 0, 3), (3, 1, 0)])
def test_gaps_that_train_never_had_are_told_if_they_are_many(aside, train, count):
    told = f"{count} of 200 rows {GAP}"
    assert said(amounts(aside, train)) == ((f"amount: {told}",) if count else ())
    words = branches(*"-" * aside, train="-" * train + "AB" * 40)
    assert said(words) == ((f"지점: {told}",) if count else ())


def test_features_that_no_model_uses_are_not_told_of():
    constant = branches(*"CCC", train="A")
    assert said(constant, amounts(0)) == ()
