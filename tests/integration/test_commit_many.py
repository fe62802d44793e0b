"""Writing so many rows that heartbeats must go on meanwhile."""

import pytest
from sqlalchemy import insert, select

from configs.errors import LeaseLost
from pipeline.context import Context
from pipeline.executor import Inline
from storage import claims
from storage.artifacts.opening import open_store
from storage.cache import open_cache
from storage.engine import reading, transaction
from storage.schema import dc_batch_picture
from tests.lab import Lab


@pytest.fixture
def lab(mariadb_settings, tmp_path):
    return Lab(mariadb_settings, tmp_path)


@pytest.fixture
def context(lab):
    claim = lab.claim(lab.add(mode="ensemble"))
    return Context(
        settings=lab.settings,
        engine=lab.engine,
        store=open_store(lab.settings),
        cache=open_cache(lab.settings),
        executor=Inline(),
        claim=claim,
        report=lambda share, note: None,
    )


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


def test_a_batch_lost_while_rows_are_written_leaves_none(lab, context):
    def work(connection):
        put(connection, context)
        lab.again(context.claim.batch_id)

    with pytest.raises(LeaseLost):
        context.commit_many(work)
    assert pictures(lab) == []
