import json
from dataclasses import asdict

import pytest

from configs.errors import BadParameter, NotFound
from models import kind
from models.variants import MOST, Variant, expand


def _expand(param, model_id="ML-XGB"):
    return expand(param if isinstance(param, str) else json.dumps(param), model_id, model_no=7)


@pytest.mark.parametrize("param", [None, "", "  ", "{}", "null"])
@pytest.mark.parametrize("model_id", kind.available())
def test_a_row_without_parameters_has_the_one_variant_of_all_defaults(model_id, param):
    (variant,) = expand(param, model_id, model_no=7)

    assert variant == Variant(
        model_sub_no=1,
        params=dict(kind.find(model_id).DEFAULTS),
        resampling="none",
        sampling_strategy=None,
        class_weight=None,
    )


def test_the_last_name_written_varies_fastest():
    variants = _expand(
        '{"grid": {"max_depth": [3, 5], "resampling": ["smote", "none"], "learning_rate": [1, 2]}}'
    )

    assert [
        (v.model_sub_no, v.params["max_depth"], v.resampling, v.params["learning_rate"])
        for v in variants
    ] == [
        (1, 3, "smote", 1),
        (2, 3, "smote", 2),
        (3, 3, "none", 1),
        (4, 3, "none", 2),
        (5, 5, "smote", 1),
        (6, 5, "smote", 2),
        (7, 5, "none", 1),
        (8, 5, "none", 2),
    ]


def test_numbers_may_be_strings():
    (variant,) = _expand(
        {
            "n_estimators": "30",
            "learning_rate": "0.2",
            "resampling": "over",
            "samplingStrategy": "0.5",
            "classWeight": {"1": "3"},
        }
    )

    assert (variant.params["n_estimators"], variant.params["learning_rate"]) == (30, 0.2)
    assert variant.sampling_strategy == 0.5
    assert variant.class_weight == {"0": 1.0, "1": 3.0}


@pytest.mark.parametrize("written", ["100", "100.0", "1e2", '"100"', '"100.0"', '"1e2"'])
def test_a_whole_number_may_be_written_as_batch_param_takes_it(written):
    (variant,) = _expand(f'{{"n_estimators": {written}, "early_stopping_rounds": {written}}}')

    for name in ("n_estimators", "early_stopping_rounds"):
        assert repr(variant.params[name]) == "100"  # so that it is no other model


@pytest.mark.parametrize(
    ("written", "count"),
    [("1", "1"), ("1.0", "1.0"), ('"1.0"', "1.0"), ("0.5", "0.5"), ("1e2", "100")],
)
def test_what_may_be_a_share_is_a_count_only_where_it_is_no_share(written, count):
    (variant,) = _expand(f'{{"max_features": {written}, "max_samples": {written}}}', "ML-RF")

    for name in ("max_features", "max_samples"):
        assert repr(variant.params[name]) == count


def test_a_variant_can_be_written_as_json():
    for model_id in kind.available():
        for variant in expand('{"classWeight": {"1": 2}}', model_id, model_no=1):
            assert json.loads(json.dumps(asdict(variant)))["model_sub_no"] == 1


def test_a_strategy_holds_only_where_rows_are_resampled():
    variants = _expand({"samplingStrategy": 0.8, "grid": {"resampling": ["none", "under"]}})

    assert [variant.sampling_strategy for variant in variants] == [None, 0.8]


@pytest.mark.parametrize(
    ("param", "told"),
    [
        ("{bad", "not JSON"),
        ('{"learning_rate": 0,1}', "not JSON: 0,1 is no number: decimals take a point"),
        ("[1]", "must be a JSON object"),
        ("7", "must be a JSON object"),
        ("[" * 100_000, "nested more than 20 levels deep"),
        ('{"max_depth": ' + 500 * "[" + 500 * "]" + "}", "nested more than 20 levels deep"),
        ('{"n_estimators": ' + "9" * 5000 + "}", "not JSON"),
        ('{"learning_rate": NaN}', "NaN is no JSON number"),
        ('{"max_depth": 1, "max_depth": 2}', "max_depth is written twice"),
        (
            {"n_estimator": 5},
            r"'n_estimator' .* ML-XGB; did you mean n_estimators\? allowed: .*grid",
        ),
        ({"classweight": None}, r"did you mean classWeight\?"),
        ({"random_state": 5}, r"'random_state' is not known to ML-XGB; allowed:"),
        ({"n_estimators": 1.5}, "n_estimators = 1.5 is not allowed; it must be a whole number"),
        ({"n_estimators": True}, "n_estimators = true"),
        ({"n_estimators": "many"}, 'n_estimators = "many"'),
        ({"n_estimators": "1e999"}, "n_estimators"),
        ({"early_stopping_rounds": float("1e400")}, "Infinity is no JSON number"),
        ({"n_estimators": 10**30}, "n_estimators = 1000"),
        ({"learning_rate": 0}, "it must be a number above 0"),
        ({"learning_rate": "inf"}, "learning_rate"),
        ({"resampling": "smoote"}, '"smoote" is not allowed; it must be "none" or "under"'),
        ({"resampling": "over", "samplingStrategy": 1.2}, "samplingStrategy = 1.2"),
        ({"resampling": "under", "samplingStrategy": "minority"}, "does not go with"),
        ({"samplingStrategy": 0.5}, "samplingStrategy says nothing without resampling"),
        ({"grid": {"samplingStrategy": [0.5, 1]}}, "samplingStrategy says nothing without"),
        (
            {"resampling": "none", "grid": {"samplingStrategy": [0.5]}},
            "samplingStrategy says nothing without",
        ),
        ({"classWeight": "heavy"}, 'classWeight = "heavy"'),
        ({"classWeight": {"0": 1, "2": 3}}, "classWeight"),
        ({"classWeight": {"1": 0}}, "classWeight"),
        ({"grid": [1]}, "grid must be an object"),
        ({"grid": {"max_depth": 3}}, "grid: max_depth needs a list"),
        ({"grid": {"max_depth": []}}, "grid: max_depth needs a list"),
        ({"grid": {"max_dept": [3]}}, r"did you mean max_depth\?"),
        ({"grid": {"grid": [3]}}, "'grid' is not known"),
        ({"grid": {"max_depth": [3, "deep"]}}, 'max_depth = "deep"'),
        ({"max_depth": 3, "grid": {"max_depth": [3]}}, "both in grid and beside it"),
        ({"grid": {"max_depth": [3] * 101, "gamma": [0] * 100}}, f"10100 .* at most {MOST}"),
    ],
)
def test_an_error_names_the_model_the_key_and_what_is_allowed(param, told):
    with pytest.raises(BadParameter, match=rf"^model_no 7: model_param: .*{told}"):
        _expand(param)


def test_an_unknown_model_id_is_told_with_those_there_are():
    there = ", ".join(kind.available())
    with pytest.raises(NotFound, match=f"^model_no 7: .* 'ML-SVM'; there are: {there}"):
        expand(None, "ML-SVM", model_no=7)
