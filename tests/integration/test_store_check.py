"""`deepcredit store check` on a store and a database that real batches have filled."""

import pytest
from sqlalchemy import insert, update

from pipeline.orphans import Sorted, Why
from pipeline.upkeep import remove, survey
from storage import batches, named_files
from storage.artifacts.uris import unfinished
from storage.columns import utc_now
from storage.engine import reading, transaction
from storage.schema import dc_batch, dc_batch_picture, metadata
from tests.desk import XGB, applicants, open_desk


@pytest.fixture
def desk(database_settings, tmp_path):
    with open_desk(database_settings, tmp_path) as desk:
        yield desk


def reader(desk):
    def read(question):
        with reading(desk.engine) as connection:
            return question(connection)

    return read


def put(desk, *uris):
    source = desk.folder / "source"
    source.write_bytes(b"x" * 10)
    for uri in uris:
        name = uri
        if uri.endswith(".tmp"):
            name = uri[: -len(".tmp")]
        desk.store.put(name, source)
        if name != uri:
            root = desk.folder / "store"
            (root / name).rename(root / uri)


def start(desk, **columns):
    """A batch that runs, whatever it is."""
    statement = insert(dc_batch).values({"state": "U", "lease_until": utc_now(60)} | columns)
    return transaction(desk.engine, lambda c: c.execute(statement).inserted_primary_key[0])


def check(desk):
    return survey(desk.store, reader(desk))


def test_what_trained_batches_name_is_there_and_needed(desk):
    desk.load(applicants(120))
    desk.models(XGB)
    trained = desk.train()
    predicted = desk.train(mode="predict", train_batch_id=trained)

    found = check(desk)

    assert found.missing == ()
    assert found.sorted == Sorted(orphans=(), in_use=(), foreign=())

    (model,) = desk.trained(trained)
    desk.store.delete(model.uri)
    transaction(desk.engine, lambda c: batches.delete(c, predicted))
    found = check(desk)
    assert found.missing == (model.uri,)
    left = {orphan.uri for orphan in found.sorted.orphans if orphan.why is Why.DEAD_RUN}
    assert left
    assert all(uri.startswith(f"predictions/P{predicted}/") for uri in left)


def test_orphans_are_removed_and_nothing_else(desk):
    running = start(desk, fence=2)
    dead, alive = f"models/T{running}/1/1.f1.ubj", f"models/T{running}/1/2.f2.ubj"
    put(desk, dead, alive, unfinished(dead), unfinished(alive), "matrices/x.npy", "mine.txt")

    found = check(desk)

    assert {o.uri for o in found.sorted.orphans if o.why is Why.DEAD_RUN} == {dead}
    assert len(found.sorted.orphans) == 2
    assert all(remove(desk.store, orphan, reader(desk)) for orphan in found.sorted.orphans)
    assert check(desk).sorted.orphans == ()
    left = sorted(desk.store.walk())
    assert [uri for uri in left if not uri.endswith(".tmp")] == [
        "matrices/x.npy",
        "mine.txt",
        alive,
    ]
    assert len(left) == 4


def test_a_shared_file_stays_once_something_runs(desk):
    put(desk, "matrices/x.npy")
    (orphan,) = check(desk).sorted.orphans

    start(desk)

    assert not remove(desk.store, orphan, reader(desk))
    assert list(desk.store.walk()) == ["matrices/x.npy"]


def test_a_picture_that_was_named_meanwhile_stays(desk):
    batch_id = start(desk, state="C")
    uri = f"ensembles/E{batch_id}/cloud.{'0' * 16}.png"
    put(desk, uri)
    (orphan,) = check(desk).sorted.orphans

    row = {"batch_id": batch_id, "name": "cloud", "uri": uri, "sha256": "s", "bytes": 1}
    transaction(desk.engine, lambda c: c.execute(insert(dc_batch_picture).values(row)))

    assert not remove(desk.store, orphan, reader(desk))


def test_a_run_that_ends_during_the_check_loses_nothing(desk):
    """It commits and ends after the walk, between the two reads that follow."""
    batch_id = start(desk, fence=1)
    uri = f"ensembles/E{batch_id}/cloud.{'0' * 16}.png"
    put(desk, uri)
    asked = []

    def read(question):
        asked.append(question)
        answer = reader(desk)(question)
        if len(asked) == 2:
            row = {"batch_id": batch_id, "name": "cloud", "uri": uri, "sha256": "s", "bytes": 1}
            transaction(desk.engine, lambda c: c.execute(insert(dc_batch_picture).values(row)))
            transaction(desk.engine, lambda c: c.execute(update(dc_batch).values(state="C")))
        return answer

    found = survey(desk.store, read)

    assert found.sorted.orphans == ()
    assert found.missing == ()


def test_every_column_that_names_a_file_is_asked():
    names = {f"{column.table.name}.{column.name}" for column in named_files.URI_COLUMNS}

    assert {"dc_model.uri", "dc_model.scores_uri", "dc_model.preprocessor_uri"} <= names
    assert {"dc_split.uri", "dc_batch_result.scores_uri", "dc_batch_picture.uri"} <= names
    for table in metadata.tables.values():
        for column in table.columns:
            assert "uri" not in column.name or f"{table.name}.{column.name}" in names
