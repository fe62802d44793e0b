"""What a worker takes from its launcher and what from its own host; which stores stay open."""

from pathlib import Path

import pytest

from configs.errors import HostUnfit
from configs.settings import load
from pipeline import workplace
from pipeline.workplace import Workplaces, pack, unpack
from tests.leftovers import left_behind


def settings(folder, **values):
    given = {"store_url": f"{folder}/store", "cache_dir": folder / "cache", **values}
    return load(given, environ={}, file=folder / "none")


def filled(store):
    (store / "labels").mkdir(parents=True)
    (store / "labels" / "file").touch()
    return str(store)


def test_what_a_host_says_of_itself_is_stronger_than_the_launcher(tmp_path):
    packed = pack(settings(tmp_path, cache_limit_mb=20_000, store_patience_seconds=7))
    own = {
        "DEEPCREDIT_CACHE_LIMIT_MB": "500",
        "DEEPCREDIT_SFTP_CONNECTIONS": "1",
        "DEEPCREDIT_CACHE_DIR": "/var/cache/here",
        "DEEPCREDIT_STORE_PATIENCE_SECONDS": "9",
    }

    found = unpack(packed, own)

    assert (found.cache_limit_mb, found.sftp_connections) == (500, 1)
    assert str(found.cache_dir) == "/var/cache/here"
    assert found.store_patience_seconds == 7


def test_paths_are_absolute_but_those_of_the_account_stay_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"sftp_key_file": "keys/id", "cache_dir": "cache", "store_url": "store"}

    found = unpack(pack(load(given, environ={}, file=tmp_path / "none")), {})

    assert found.sftp_key_file == tmp_path / "keys/id"
    assert (found.cache_dir, found.store_url) == (tmp_path / "cache", str(tmp_path / "store"))
    assert str(found.sftp_known_hosts) == str(Path.home() / ".ssh/known_hosts")


def test_launchers_that_differ_in_what_no_worker_reads_share_a_workplace(tmp_path):
    one, other = (pack(settings(tmp_path, metrics_port=port)) for port in (1, 2))

    assert one == other


def test_stores_that_are_no_longer_asked_for_are_closed(tmp_path, monkeypatch):
    closed = []

    def close(store):
        closed.append(store)

    monkeypatch.setattr("storage.artifacts.folder.FolderStore.close", close)
    monkeypatch.setattr(workplace, "_KEPT", 2)
    places = Workplaces()
    first, second, third = (pack(settings(tmp_path, store_url=filled(tmp_path / n))) for n in "abc")

    kept = places.get(first)
    dropped = places.get(second)
    assert places.get(first) is kept
    places.get(third)

    assert closed == [dropped.store]
    assert places.get(first) is kept


def test_who_opens_a_workplace_removes_what_dead_ones_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    left = [left_behind(tmp_path / each) for each in ("tmp", "cache/scratch")]
    place = Workplaces().get(pack(settings(tmp_path, store_url=filled(tmp_path / "store"))))

    with place.folder() as folder:
        assert folder.parent == tmp_path / "tmp"
        assert [each.exists() for each in left] == [False, False]


def test_a_store_that_is_empty_here_alone_is_the_hosts_fault(tmp_path, monkeypatch):
    """What a worker put there would be missing as soon as its disk is mounted."""
    monkeypatch.setattr(workplace, "_UNFIT_PAUSE_SECONDS", 0)
    (tmp_path / "store").mkdir()

    with pytest.raises(HostUnfit, match=r"is empty here.*mounted on this host"):
        workplace.workplace(pack(settings(tmp_path)))


def test_settings_that_are_wrong_are_the_hosts(tmp_path, monkeypatch):
    monkeypatch.setattr(workplace, "_UNFIT_PAUSE_SECONDS", 0)
    monkeypatch.setenv("DEEPCREDIT_SFTP_CONNECTIONS", "many")

    with pytest.raises(HostUnfit, match="sftp_connections"):
        workplace.workplace(pack(settings(tmp_path)))
