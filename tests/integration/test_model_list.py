from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Engine, text

from configs.errors import NotFound
from storage import model_list
from storage.records import ModelEntry

BOOSTED = ModelEntry(
    model_no=1,
    model_id="ML-XGB",
    model_group_id="M100",
    model_param='{"max_depth": 3}',
    use_yn="Y",
    model_desc="나무 400그루",
)
FOREST = replace(BOOSTED, model_no=2, model_id="ML-RF", model_param=None, model_desc=None)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        model_list.put(connection, [FOREST, BOOSTED, replace(FOREST, model_no=3, use_yn="N")])
        model_list.put(connection, [replace(FOREST, model_no=9, model_group_id="OFF", use_yn="N")])
    return engine


def test_a_group_is_its_models_in_use_by_number(filled: Engine) -> None:
    with filled.connect() as connection:
        assert model_list.group(connection, "M100") == [BOOSTED, FOREST]


def test_the_listing_has_also_what_is_not_in_use(filled: Engine) -> None:
    with filled.connect() as connection:
        assert [entry.model_no for entry in model_list.listing(connection)] == [1, 2, 3, 9]
        assert [entry.model_no for entry in model_list.listing(connection, "OFF")] == [9]


def test_putting_a_model_again_replaces_it_and_leaves_the_others(filled: Engine) -> None:
    changed = replace(BOOSTED, model_param=None, model_desc="바뀜")

    with filled.begin() as connection:
        model_list.put(connection, [changed, changed])

    with filled.connect() as connection:
        assert model_list.group(connection, "M100") == [changed, FOREST]


def test_an_unknown_group_is_an_error_that_lists_the_groups(filled: Engine) -> None:
    with (
        filled.connect() as connection,
        pytest.raises(NotFound, match=r"'Mxx'; there are: M100, OFF"),
    ):
        model_list.group(connection, "Mxx")
    with filled.connect() as connection, pytest.raises(NotFound, match="unknown model group ''"):
        model_list.listing(connection, "")


@pytest.mark.parametrize("question", [model_list.group, model_list.listing])
def test_a_mistyped_group_is_an_error_that_asks_for_the_nearest(
    filled: Engine, question: Callable[[Connection, str], object]
) -> None:
    said = r"unknown model group 'm10'; did you mean M100\? there are: M100, OFF"
    with filled.connect() as connection, pytest.raises(NotFound, match=said):
        question(connection, "m10")


def test_a_group_with_nothing_in_use_is_an_error_that_says_so(filled: Engine) -> None:
    with filled.connect() as connection, pytest.raises(NotFound, match=r"no model in use.*use_yn"):
        model_list.group(connection, "OFF")


def test_an_empty_list_is_an_error_that_says_so(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(NotFound, match="dc_model_list is empty"):
        model_list.group(connection, "M100")


def test_a_row_that_an_operator_inserts_by_sql_is_in_use_by_default(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO dc_model_list (model_no, model_id, model_group_id)"
                " VALUES (7, 'ML-RF', 'M100')"
            )
        )

    with engine.connect() as connection:
        assert [entry.use_yn for entry in model_list.group(connection, "M100")] == ["Y"]
