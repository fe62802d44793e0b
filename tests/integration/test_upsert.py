import pytest
from sqlalchemy import Connection, Engine, event, select
from sqlalchemy.exc import IntegrityError

from configs.settings import Settings
from storage.engine import make_engine, reading, transaction
from storage.schema import dc_server
from storage.upsert import upsert

KEY = {"serve_server_id": "S1"}


def put(connection: Connection, **values: object) -> None:
    upsert(connection, dc_server, KEY, values)


def row(engine: Engine) -> tuple[object, ...]:
    with reading(engine) as connection:
        (found,) = connection.execute(select(dc_server.c["serve_server_id", "host", "slots"]))
    return tuple(found)


def test_what_is_not_named_keeps_its_value(engine: Engine) -> None:
    transaction(engine, lambda connection: put(connection, host="a", slots=1))
    assert row(engine) == ("S1", "a", 1)

    transaction(engine, lambda connection: put(connection, slots=2))

    assert row(engine) == ("S1", "a", 2)


def test_a_row_that_somebody_else_inserts_meanwhile_is_changed(
    mariadb_engine: Engine, mariadb_settings: Settings
) -> None:
    slow = make_engine(mariadb_settings)

    @event.listens_for(slow, "before_cursor_execute")
    def somebody_else(_connection, _cursor, statement, *_rest):
        if statement.startswith("INSERT"):
            transaction(mariadb_engine, lambda connection: put(connection, host="a", slots=1))

    transaction(slow, lambda connection: put(connection, slots=2))

    assert row(mariadb_engine) == ("S1", "a", 2)
    slow.dispose()


def test_values_that_no_row_may_have_are_told_of(engine: Engine) -> None:
    with pytest.raises(IntegrityError):
        transaction(engine, lambda connection: put(connection, paused=None))
