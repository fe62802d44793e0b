"""Writing so many rows that heartbeats must go on meanwhile."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import insert, select, update

from configs.errors import LeaseLost
from storage import claims
from storage.engine import reading, transaction
from storage.schema import dc_batch, dc_batch_picture
from tests.lab import Lab


@pytest.fixture
def lab(mariadb_settings, tmp_path):
    return Lab(mariadb_settings, tmp_path)


@pytest.fixture
def context(lab):
    return lab.context()


def put(connection, context):
    row = {"batch_id": context.claim.batch_id, "name": "x", "uri": "x", "sha256": "x", "bytes": 1}
    connection.execute(insert(dc_batch_picture).values(row))


def pictures(lab):
    with reading(lab.engine) as connection:
        return connection.execute(select(dc_batch_picture)).all()


def test_the_lease_can_be_renewed_while_rows_are_written(lab, context):
    def work(connection):
        put(connection, context)
        beat = transaction(
            lab.engine,
            lambda other: claims.beat(
                other, context.claim, lease_seconds=60, progress=0.5, note="still here"
            ),
        )
        assert beat.owned
        assert pictures(lab) == []

    context.commit_many(work)
    assert len(pictures(lab)) == 1


def test_who_waits_for_sqlite_has_a_turn_between_pieces(sqlite_settings, tmp_path):
    """However quickly one piece follows the other."""
    lab = Lab(sqlite_settings, tmp_path)
    context = lab.context()
    begun, done = threading.Event(), threading.Event()

    def work(connection):
        connection.execute(update(dc_batch).values(batch_memo="ours"))
        begun.set()
        done.wait(0.2)  # how long a piece takes

    def write_too():
        begun.wait(10)
        with closing(sqlite3.connect(lab.engine.url.database, timeout=5)) as other, other:
            other.execute("UPDATE dc_batch SET batch_desc = 'theirs'")
        done.set()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(write_too)
        while not other.done():
            context.commit_many(work)
        other.result()


def test_a_batch_lost_while_rows_are_written_leaves_none(lab, context):
    def work(connection):
        put(connection, context)
        lab.again(context.claim.batch_id)

    with pytest.raises(LeaseLost):
        context.commit_many(work)
    assert pictures(lab) == []
