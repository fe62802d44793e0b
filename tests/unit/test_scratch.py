import errno
import fcntl
import os
from pathlib import Path

import pytest

from storage import scratch
from storage.cache import Cache
from tests.leftovers import holder, left_behind


def test_a_folder_goes_with_its_use_or_once_its_process_is_dead(tmp_path):
    with scratch.folder(tmp_path) as ours, holder(tmp_path) as process:
        (ours / "model").touch()
        theirs = Path(process.stdout.readline().rstrip())
        scratch.clean(tmp_path)
        assert ((ours / "model").exists(), theirs.exists()) == (True, True)

        process.kill()
        process.wait()
        scratch.clean(tmp_path)
        assert ((ours / "model").exists(), theirs.exists()) == (True, False)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_goes_when_its_use_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), scratch.folder(tmp_path) as folder:
        (folder / "model").touch()
        raise ZeroDivisionError

    assert list(tmp_path.iterdir()) == []


def test_who_cleans_does_no_harm_to_a_folder_that_is_made_meanwhile(tmp_path, monkeypatch):
    def clean_first(file, how, lock=fcntl.flock):
        monkeypatch.undo()
        scratch.clean(tmp_path)  # the mark is there, and nobody has it
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", clean_first)
    with scratch.folder(tmp_path) as folder:
        scratch.clean(tmp_path)
        assert list(tmp_path.iterdir()) == [folder]

    assert list(tmp_path.iterdir()) == []


def test_what_is_not_named_as_ours_or_is_of_another_user_is_left(tmp_path, monkeypatch):
    for name in ("deepcredit-backup", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.held").touch()
    theirs = left_behind(tmp_path)
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)

    scratch.clean(tmp_path)
    assert theirs.is_dir()
    monkeypatch.undo()
    scratch.clean(tmp_path)

    names = {"deepcredit-backup", "deepcredit-backup.held", "notes", "notes.held"}
    assert {each.name for each in tmp_path.iterdir()} == names


def test_temporary_files_of_the_system_are_where_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    theirs = left_behind(tmp_path)

    with scratch.folder() as ours:
        scratch.clean()
        assert (ours.parent, theirs.exists()) == (tmp_path, False)


def test_a_folder_can_be_had_on_a_network_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.fcntl, "flock", scratch.fcntl.lockf)  # what NFS makes of it

    with scratch.folder(tmp_path) as folder:
        assert folder.is_dir()

    assert [*tmp_path.iterdir()] == []


def test_who_cleans_does_not_fail_where_no_disk_has_room(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch.tempfile, "gettempdir", full)
    scratch.clean()

    cache = Cache(tmp_path / "cache")
    monkeypatch.setattr(Path, "mkdir", full)
    cache.clean()
    assert [*tmp_path.iterdir()] == []
