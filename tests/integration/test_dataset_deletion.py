"""Data sets are deleted with what is theirs alone, and not while something needs them."""

import pandas as pd
import pytest
from sqlalchemy import insert, inspect, text

from configs.errors import BadData, DatabaseRefused, DatabaseUnavailable, NotFound, WrongState
from pipeline import datasets
from pipeline.frames import rows_of
from pipeline.roles import Choices
from storage import dataset_use
from storage import datasets as registered
from storage.schema import dc_ensemble_model
from tests.calls import Calls

ROWS = {"x": [number * 1.5 for number in range(20)], "y": [0, 1] * 10}


@pytest.fixture
def load(engine, tmp_path):
    def make(group="A", **options):
        path = tmp_path / "rows.csv"
        pd.DataFrame(ROWS).to_csv(path, index=False)
        return datasets.load_file(engine, path, group=group, choices=Choices(target="y"), **options)

    return make


def there(engine):
    """Tables of data sets and views that are there."""
    found = inspect(engine)
    tables = {name for name in found.get_table_names() if name.startswith("dc_data_")}
    return tables | {name for name in found.get_view_names() if not name.startswith("v_")}


def with_model(calls, **columns):
    number = calls.add(state="C", dataset_group="A", dataset_version=1, **columns)
    calls.add_model(number)
    return number


def test_a_data_set_goes_with_its_columns_and_the_table_that_load_made(engine, calls, load):
    load()
    load()

    gone = datasets.delete(engine, "A", 1)

    assert gone.n_rows == 20
    assert there(engine) == {"dc_data_a_2"}
    for table in ("dc_dataset", "dc_dataset_column"):
        assert calls.value(f"SELECT MIN(dataset_version) FROM {table}") == 2
    with pytest.raises(NotFound, match="there are: A/2"):
        datasets.delete(engine, "A", 1)


def test_a_table_or_view_that_was_registered_stays(engine, calls, load):
    load()
    calls.sql("CREATE VIEW bank AS SELECT x, y FROM dc_data_a_1")
    for name in ("bank", "dc_data_a_1"):
        datasets.register_table(engine, name, group="B", choices=Choices(target="y"))
    told = []

    datasets.delete(engine, "B", 1, tell=told.append)
    datasets.delete(engine, "A", 1, tell=told.append)
    datasets.delete(engine, "B", 2, tell=told.append)

    assert told == [
        "table bank stays; load made none of this name for B/1",
        "table dc_data_a_1 stays: data set B/2 is read from it",
        "table dc_data_a_1 stays; load made none of this name for B/2",
    ]
    assert there(engine) == {"dc_data_a_1", "bank"}
    calls.sql("DROP VIEW bank")
    assert calls(dataset_use.leftovers) == [
        "table dc_data_a_1 belongs to no data set; unless a load runs now: DROP TABLE dc_data_a_1"
    ]


def test_no_other_table_goes_whatever_an_operator_has_written(engine, calls, load):
    load()
    calls.sql("UPDATE dc_dataset SET table_name = 'dc_batch_result'")
    told = []

    datasets.delete(engine, "A", 1, tell=told.append)

    assert told == ["table dc_batch_result stays; load made none of this name for A/1"]
    assert inspect(engine).has_table("dc_batch_result")
    calls.sql("DROP TABLE dc_data_a_1")


@pytest.mark.parametrize("state", ["I", "U", "E"])
def test_what_a_batch_needs_that_has_not_ended_stays(engine, calls, load, state):
    load()
    later = {"run_after": "2099-01-01 00:00:00"} if state == "E" else {}
    number = calls.add(dataset_group="A", dataset_version=1)
    assignments = "".join(f", {name} = '{value}'" for name, value in later.items())
    calls.sql(f"UPDATE dc_batch SET state = '{state}'{assignments} WHERE batch_id = {number}")

    with pytest.raises(WrongState, match=f"A/1 is needed by train batch {number}, not at an end"):
        datasets.delete(engine, "A", 1, force=True)

    assert registered_names(calls) == ["A/1"]
    assert there(engine) == {"dc_data_a_1"}


def test_a_prediction_that_takes_the_data_set_of_its_models_needs_it_too(engine, calls, load):
    load()
    train = with_model(calls)
    ensemble = calls.add(mode="ensemble", state="C")
    member = {"batch_id": ensemble, "position": 0, "model_batch_id": train, "model_no": 1}
    rest = {"model_sub_no": 1, "model_id": "x", "threshold": 0.5, "sha256": "x"}
    calls(lambda c: c.execute(insert(dc_ensemble_model).values(member | rest)))
    calls.add(mode="predict", train_batch_id=train, dataset_group="B", dataset_version=1)
    waiting = [calls.add(mode="predict", train_batch_id=parent) for parent in (train, ensemble)]

    said = ", ".join(f"predict batch {number}" for number in waiting)
    with pytest.raises(WrongState, match=f"is needed by {said}, not at an end"):
        datasets.delete(engine, "A", 1, force=True)


def test_models_keep_a_data_set_unless_it_is_forced(engine, calls, load):
    load()
    number = with_model(calls)
    calls.add(state="C", mode="predict", dataset_group="A", dataset_version=1)
    told = []

    with pytest.raises(WrongState, match=rf"needed by models of train batch {number}: .*--force"):
        datasets.delete(engine, "A", 1)
    assert registered_names(calls) == ["A/1"]
    datasets.delete(engine, "A", 1, force=True, tell=told.append)

    assert registered_names(calls) == []
    assert there(engine) == set()
    assert told == [f"models and scores of train batch {number} stay: `deepcredit batch delete`"]


def test_a_number_that_something_was_made_of_is_not_given_again(engine, calls, load):
    load()
    datasets.delete(engine, "A", 1)
    assert load().name == "A/1"  # nobody had used it
    with_model(calls)
    datasets.delete(engine, "A", 1, force=True)
    told = []

    assert load(tell=told.append).name == "A/2"
    assert told == []
    assert load(version=1, tell=told.append).name == "A/1"
    assert told == [
        "A/1 or a later one was deleted, and batches had used it",
        "data set A/2 has the same content",
    ]


def test_a_split_keeps_the_number_of_its_data_set_when_its_batch_has_gone(engine, calls, load):
    calls.sql(
        "INSERT INTO dc_split (split_id, dataset_group, dataset_version, content_sha256, n_train,"
        " n_valid, n_test, uri, sha256) VALUES ('s', 'A', 3, 'c', 1, 1, 1, 'u', 'x')"
    )

    assert load().name == "A/4"


def test_what_a_deletion_by_hand_left_is_told_and_in_nobodys_way(engine, calls, load):
    load()
    calls.sql("DELETE FROM dc_dataset")

    table, columns = calls(dataset_use.leftovers)

    assert table.endswith("belongs to no data set; unless a load runs now: DROP TABLE dc_data_a_1")
    assert columns == "dc_dataset_column has rows of A/1, which is not in dc_dataset; delete them"
    calls.sql("DROP TABLE dc_data_a_1")
    calls.sql("DELETE FROM dc_dataset_column")
    assert calls(dataset_use.leftovers) == []
    load()
    calls.sql("DELETE FROM dc_dataset")
    calls.sql("DROP TABLE dc_data_a_1")
    assert load().name == "A/1"
    assert calls(dataset_use.leftovers) == []


def test_a_data_set_whose_table_is_gone_is_told_with_what_to_do(engine, calls, load):
    load()
    calls.sql("CREATE VIEW Bank AS SELECT x, y FROM dc_data_a_1")
    datasets.register_table(engine, "Bank", group="B", choices=Choices(target="y"))
    assert calls(dataset_use.tableless) == []

    calls.sql("DROP VIEW Bank")
    calls.sql("DROP TABLE dc_data_a_1")

    assert calls(dataset_use.tableless) == [
        f"data set {name}: there is no table or view {table}, or this account may not read it; "
        f"bring it back, or `deepcredit dataset delete {name}`"
        for name, table in (("A/1", "dc_data_a_1"), ("B/1", "Bank"))
    ]
    for group in ("A", "B"):
        datasets.delete(engine, group, 1)
    assert calls(dataset_use.tableless) == []


def test_a_data_set_renamed_by_half_is_told_with_what_completes_it(engine, calls, load):
    load()
    calls.sql("UPDATE dc_dataset SET dataset_group = '나'")

    (columns,) = calls(dataset_use.leftovers)
    with pytest.raises(
        BadData, match="나/1 has no columns in dc_dataset_column; if it had another"
    ):
        calls(lambda connection: rows_of(connection, registered.read(connection, "나", 1)))

    assert columns.endswith("; if they are of 나/1, give them its name, else delete them")
    calls.sql("UPDATE dc_dataset_column SET dataset_group = '나'")
    assert calls(dataset_use.leftovers) == []
    told = []
    datasets.delete(engine, "나", 1, tell=told.append)
    assert told == ["table dc_data_a_1 stays; load made none of this name for 나/1"]


def test_an_account_that_may_not_drop_the_table_changes_nothing(mariadb_engine, account, tmp_path):
    admin, path = Calls(mariadb_engine), tmp_path / "rows.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    datasets.load_file(mariadb_engine, path, group="A", choices=Choices(target="y"))

    with pytest.raises(DatabaseRefused, match="DROP command denied"):
        datasets.delete(account("SELECT, INSERT, UPDATE, DELETE"), "A", 1)

    assert registered_names(admin) == ["A/1"]
    with mariadb_engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM dc_data_a_1")) == 20


def registered_names(calls):
    return [each.name for each in calls(registered.listing)]


def test_a_table_that_somebody_reads_is_not_waited_for_long(mariadb_engine, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.engine._TABLE_SECONDS", 1)
    path = tmp_path / "rows.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    datasets.load_file(mariadb_engine, path, group="A", choices=Choices(target="y"))

    with mariadb_engine.connect() as reader:
        reader.execute(text("SELECT * FROM dc_data_a_1"))
        with pytest.raises(DatabaseUnavailable, match="transaction open"):
            datasets.delete(mariadb_engine, "A", 1)

    assert datasets.delete(mariadb_engine, "A", 1).n_rows == 20
