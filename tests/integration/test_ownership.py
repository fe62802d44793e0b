"""A model store bears the mark of its database; with another's nothing is written or deleted."""

import threading
from uuid import uuid4

import pytest
from sqlalchemy import make_url, update

from configs.errors import StoreNotOurs, StoreUnavailable, WrongSchema, retry_of
from pipeline import marks, ownership
from pipeline.ownership import Standing
from pipeline.run_files import FOLDERS
from storage import identity
from storage.engine import reading, transaction
from storage.schema import dc_identity
from tests.desk import XGB, applicants, open_desk

OURS, OTHER = "a" * 32, "b" * 32
WHERE = make_url("mariadb+pymysql://user:secret@host/scores")
MODEL = "models/T1/1/1.f1.ubj"


@pytest.fixture
def put(place, tmp_path):
    def put(uri):
        source = tmp_path / "source"
        source.write_bytes(b"x")
        place.store.put(uri, source)

    return put


def take(place, database_id=OURS):
    ownership.take(place.store, database_id, where=WHERE)


def test_the_first_batch_marks_an_empty_store_and_the_next_find_it_theirs(place, put):
    put("notes.txt")  # no file of a batch
    put("probe-00")  # left by a killed `doctor`
    assert ownership.look(place.store, OURS) is Standing.EMPTY

    take(place)
    ownership.take(place.store, OURS, where=WHERE, named=lambda: pytest.fail("not to be asked"))

    assert ownership.look(place.store, OURS) is Standing.OURS
    ownership.require(place.store, OURS)
    assert (place.root / "database" / OURS).read_text() == (
        "This model store belongs to mariadb+pymysql://user:***@host/scores\n"
    )


def test_an_empty_store_where_files_should_be_is_not_written_to(place):
    with pytest.raises(StoreUnavailable, match=r"names 1 file there; is its disk mounted\?"):
        ownership.take(place.store, OURS, where=WHERE, named=lambda: {MODEL})
    assert list(place.store.walk()) == []

    ownership.adopt(place.store, OURS, where=WHERE)
    ownership.take(place.store, OURS, where=WHERE, named=lambda: {MODEL})


def test_what_another_launcher_has_put_meanwhile_is_no_unmounted_disk(place, put):
    def named():
        take(place)
        put(MODEL)
        return {MODEL}

    ownership.take(place.store, OURS, where=WHERE, named=named)

    assert ownership.look(place.store, OURS) is Standing.OURS


def test_who_takes_a_store_between_two_looks_has_it(place, put, monkeypatch):
    def is_filled(_):
        monkeypatch.undo()
        take(place, OTHER)
        put(MODEL)
        return True

    monkeypatch.setattr(ownership, "is_filled", is_filled)
    with pytest.raises(StoreNotOurs):
        ownership.look(place.store, OURS)


@pytest.mark.parametrize(
    "name", [".nfs00000000b1d20001", ".DS_Store", "Thumbs.db", f".{OURS}.x7Yz1Q", f"old/{OTHER}"]
)
def test_what_is_left_beside_the_mark_is_no_mark(place, put, name):
    take(place)
    put(f"database/{name}")

    ownership.require(place.store, OURS)
    with pytest.raises(StoreNotOurs):
        ownership.require(place.store, OTHER)


def test_folders_that_are_not_ours_need_not_be_readable(place, put, monkeypatch):
    everything = place.store.walk

    def walk(prefix=""):
        assert prefix, "a disk has a folder lost+found, which none but root may read"
        return everything(prefix)

    monkeypatch.setattr(place.store, "walk", walk)
    take(place)
    put(MODEL)
    take(place)

    assert not marks.is_empty(place.store)


def test_another_database_neither_writes_nor_deletes(place):
    take(place)

    for refused in (ownership.take, ownership.adopt):
        with pytest.raises(StoreNotOurs, match=f"{OURS}.*{OTHER}.*adopt --from {OURS}$"):
            refused(place.store, OTHER, where=WHERE)
    with pytest.raises(StoreNotOurs):
        ownership.require(place.store, OTHER)

    assert list(place.store.walk()) == [f"database/{OURS}"]


def test_files_without_a_mark_are_used_but_not_deleted_until_somebody_adopts_them(place, put):
    put(MODEL)

    take(place)

    assert ownership.look(place.store, OURS) is Standing.UNMARKED
    with pytest.raises(StoreNotOurs, match=rf"no mark.*\({OURS}\): deepcredit store adopt$"):
        ownership.require(place.store, OURS)
    ownership.adopt(place.store, OURS, where=WHERE)
    ownership.require(place.store, OURS)


def test_a_store_is_taken_from_the_database_that_is_named(place, put):
    take(place)
    put(MODEL)

    with pytest.raises(StoreNotOurs):
        ownership.adopt(place.store, OTHER, where=WHERE, instead_of=["c" * 32])
    ownership.adopt(place.store, OTHER, where=WHERE, instead_of=[OURS])

    ownership.require(place.store, OTHER)
    with pytest.raises(StoreNotOurs):
        take(place)


def test_a_mark_whose_upload_never_ended_is_none(place, put):
    put(f"database/{OTHER}")
    (place.root / "database" / OTHER).rename(place.root / "database" / f"{OTHER}.{OURS}.tmp")

    assert ownership.look(place.store, OURS) is Standing.EMPTY


def test_of_databases_that_take_a_store_at_once_at_most_one_has_it(place):
    ids = [uuid4().hex for _ in range(6)]
    start = threading.Barrier(len(ids))
    took = []

    def try_to(database_id):
        start.wait()
        try:
            take(place, database_id)
        except StoreNotOurs:
            return
        took.append(database_id)

    threads = [threading.Thread(target=try_to, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(took) <= 1
    marks = {uri.removeprefix("database/") for uri in place.store.walk()}
    assert set(took) <= marks


@pytest.fixture
def desk(database_settings, tmp_path):
    with open_desk(database_settings, tmp_path) as desk:
        desk.load(applicants(120))
        desk.models(XGB)
        yield desk


def become_another(desk):
    """As a database does that an operator has copied and given an id of its own."""
    change = update(dc_identity).values(database_id=uuid4().hex)
    transaction(desk.engine, lambda connection: connection.execute(change))


def id_of(desk):
    with reading(desk.engine) as connection:
        return identity.database_id(connection)


def test_a_batch_marks_the_store_and_one_of_another_database_writes_nothing_there(desk):
    before = id_of(desk)
    desk.train()
    files = set(desk.store.walk())
    assert f"database/{before}" in files
    assert {uri.split("/")[0] for uri in files} <= {*FOLDERS, "database"}

    become_another(desk)
    try:
        with pytest.raises(StoreNotOurs, match=before) as refused:
            desk.train()
    finally:
        after = id_of(desk)

    assert before != after
    assert retry_of(refused.value).value == "later"  # another launcher may have the right store
    assert set(desk.store.walk()) == files


def test_a_disk_that_is_not_mounted_gets_no_models(desk):
    desk.train()
    store = desk.folder / "store"
    store.rename(desk.folder / "unmounted")
    store.mkdir()

    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        desk.train()

    assert list(store.iterdir()) == []


@pytest.mark.parametrize("ids", [[], [OURS, OTHER], ["production"]])
def test_a_database_without_one_id_says_how_to_give_it_one(desk, ids):
    def put_ids(ids):
        def work(connection):
            connection.execute(dc_identity.delete())
            for each in ids:
                connection.execute(dc_identity.insert().values(database_id=each))

        transaction(desk.engine, work)

    kept = id_of(desk)
    put_ids(ids)
    try:
        with pytest.raises(WrongSchema, match=r"one row, .* such as [0-9a-f]{32}; it has "):
            id_of(desk)
    finally:
        put_ids([kept])
