from sqlalchemy import Engine, text

from storage.schema import dc_batch


def test_a_test_starts_with_an_empty_database_first_time(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_over (a INTEGER)"))
        connection.execute(dc_batch.insert().values(mode="train"))
        assert connection.scalar(dc_batch.select().with_only_columns(dc_batch.c.batch_id)) == 1


def test_a_test_starts_with_an_empty_database_second_time(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_over (a INTEGER)"))
        connection.execute(dc_batch.insert().values(mode="train"))
        assert connection.scalar(dc_batch.select().with_only_columns(dc_batch.c.batch_id)) == 1
