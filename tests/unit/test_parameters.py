import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadParameter
from pipeline import mode
from pipeline.modes.ensemble import Parameters as EnsembleParameters
from pipeline.modes.predict import Parameters as PredictParameters
from pipeline.modes.train import Parameters as TrainParameters
from pipeline.parameters import parse
from pipeline.preparation import SplitParameters
from tests.protocols import lacking

LACKING = lacking(mode.Mode, {f"pipeline/modes/{m}.py": mode.find(m) for m in mode.available()})
assert not LACKING, LACKING


def test_numbers_may_come_as_strings() -> None:
    text = '{"testSize": "0.3", "validationSize": "0.2", "randomState": "42"}'

    assert parse(text, TrainParameters) == parse(None, TrainParameters)


def test_a_power_of_ten_is_a_number_with_and_without_quotes() -> None:
    for text in (
        '{"ensembles": 1e6, "timeLimit": 1e2}',
        '{"ensembles": "1e6", "timeLimit": "1E2"}',
    ):
        found = parse(text, EnsembleParameters)
        assert (found.ensembles, found.time_limit) == (1_000_000, 100.0)
    for text in ('{"models": [1e1, 2]}', '{"models": ["1e1", "2"]}'):
        assert parse(text, TrainParameters).models == (10, 2)


def test_true_and_false_may_come_as_strings() -> None:
    written = ("false", '"false"', '"False"', "true", '"true"')
    read = [parse(f'{{"stratify": {each}}}', TrainParameters).stratify for each in written]

    assert read == [False, False, False, True, True]


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_null_and_blank_mean_all_defaults(text: str | None) -> None:
    found = parse(text, TrainParameters)

    assert (found.test_size, found.validation_size, found.random_state) == (0.3, 0.2, 42)
    assert (found.split_by, found.stratify, found.threshold) == ("random", True, 0.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["not JSON", "line 1"]),
        ('{"testSize": 0,3}', ["not JSON: 0,3 is no number: decimals take a point", "line 1"]),
        ('{"testSize": 0.3,\n "timeLimit": 3,600, "x": 1}', [": 3,600 is no number", "line 2"]),
        ('{"testSize": 1,\n3}', ["not JSON: Expecting property name"]),
        ('{"a": "' + "1" * 200_000 + '" x}', ["not JSON: Expecting ',' delimiter"]),
        ('{"models": [1,2], 3}', ["not JSON: Expecting property name"]),
        ("[1]", ["must be a JSON object", "not a list"]),
        ("null", ["must be a JSON object", "not null"]),
        ("7", ["must be a JSON object", "not a number"]),
        ("true", ["must be a JSON object", "not true or false"]),
        ('"x"', ["must be a JSON object", "not a text"]),
        ('{"testSize": NaN}', ["NaN"]),
        ('{"testSize": 0.3, "testSize": 0.4}', ["testSize", "twice"]),
        ('{"testsize": 0.3}', ["'testsize'", "did you mean testSize?", "validationSize"]),
        ('{"test_size": 0.3}', ["unknown key 'test_size'"]),
        ('{"testSize": 0}', ["testSize = 0 is not allowed; allowed: number, above 0 (share"]),
        ('{"validationSize": 1.5}', ["validationSize = 1.5 is not allowed", "a whole number of"]),
        ('{"testSize": "많이"}', ['testSize = "많이" is not allowed; allowed: number, above 0']),
        ('{"testSize": null}', ["testSize = null is not allowed; allowed: number"]),
        (
            '{"randomState": -1}',
            ["randomState = -1 is not allowed; allowed: whole number, at least 0, at most 42949"],
        ),
        ('{"randomState": 1.5}', ["randomState = 1.5 is not allowed; allowed: whole number"]),
        ('{"splitBy": "row"}', ['splitBy = "row"', 'allowed: "random", "time", "group"']),
        ('{"splitBy": "Groups"}', ['"Groups" is not allowed; did you mean group? allowed: ']),
        ('{"models": []}', ["models = []", "list of whole numbers, its length at least 1"]),
        ('{"models": "3"}', ['models = "3"', "list of whole numbers"]),
        ('{"models": ["x", 1.5]}', ['models = ["x", 1.5]', "list of whole numbers"]),
        ('{"onModelError": "stop"}', ["onModelError", 'allowed: "continue", "fail" (']),
        ('{"stratify": "maybe"}', ['stratify = "maybe" is not allowed; allowed: true, false']),
        ('{"stratify": "yes"}', ['stratify = "yes" is not allowed; allowed: true, false']),
        ('{"stratify": 1}', ["stratify = 1 is not allowed; allowed: true, false"]),
        ('{"stratify": null}', ["stratify = null is not allowed; allowed: true, false"]),
        ('{"timeLimit": 0}', ["timeLimit = 0", "number, above 0 (seconds"]),
        ('{"testSize": true}', ["testSize = true is not allowed; allowed: number", "share"]),
        ('{"threshold": true}', ["threshold = true is not allowed; allowed: number or object"]),
        ('{"models": [true]}', ["models = [true] is not allowed; allowed: list of whole"]),
        ('{"testSize": ' + 5000 * "9" + "}", ["not JSON: a number has more than 4300 digits"]),
        (100_000 * "[", ["nested more than 20 levels"]),
        ('{"models": ' + 500 * "[" + 500 * "]" + "}", ["nested more than 20 levels"]),
        (21 * '{"a":' + "1" + 21 * "}", ["nested more than 20 levels"]),
        (20 * '{"a":' + "1" + 20 * "}", ["unknown key 'a'"]),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(BadParameter) as caught:
        parse(text, TrainParameters)

    message = str(caught.value)
    assert "batch_param" in message
    assert "\n" not in message
    for word in words:
        assert word in message


def test_every_key_that_is_wrong_is_named_once() -> None:
    with pytest.raises(BadParameter) as caught:
        parse('{"threshold": [1], "testSize": "x"}', TrainParameters)

    keys = re.findall(r"(\w+) = .*? is not allowed; allowed", str(caught.value))
    assert sorted(keys) == ["testSize", "threshold"]


def test_a_key_of_another_mode_is_unknown() -> None:
    with pytest.raises(BadParameter, match="unknown key 'testSize'"):
        parse('{"testSize": 0.3}', PredictParameters)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_read_or_refused(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"testSize": value})):
        with suppress(BadParameter):  # anything else fails the test
            assert parse(text, TrainParameters).test_size > 0


def test_modes_are_found_by_listing_their_folder() -> None:
    assert {"train", "predict"} <= set(mode.available())


@pytest.mark.parametrize(
    ("sizes", "n_rows", "doubts"),
    [
        ('{"testSize": 0.3}', 1000, ()),
        ('{"testSize": 100}', 10_000, ()),
        ('{"testSize": 99}', 1000, ("testSize 99: 99 of 1000 rows, not 99 %",)),
        ('{"testSize": 100}', 10_001, ("testSize 100: 100 of 10001 rows, not 100 %",)),
        ('{"testSize": 200}', 30_000, ("testSize 200: 200 of 30000 rows",)),
        ('{"validationSize": 1}', 300, ("validationSize 1: 1 of 300 rows, not 1 %",)),
    ],
)
def test_small_counts_are_doubted(sizes: str, n_rows: int, doubts: tuple[str, ...]) -> None:
    assert parse(sizes, SplitParameters).doubts(n_rows) == doubts
