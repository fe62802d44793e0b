"""A model store whose disk is full, or that must not be written: both adapters, real disks."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.errors import StoreFull, StoreRefused
from configs.settings import load
from storage.artifacts.opening import open_store
from storage.artifacts.port import Store
from tests.small_disk import for_reading_alone
from tests.sshd import running_sshd


@pytest.fixture
def source(tmp_path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(os.urandom(100_000))
    return file


@pytest.fixture(params=["folder", "sftp"])
def full(request, disk, tmp_path) -> Iterator[Store]:
    """A store on a disk of one megabyte."""
    if request.param == "folder":
        yield open_store(load({"store_url": str(disk)}, environ={}, file=Path("none")))
        return
    with running_sshd(tmp_path / "sshd") as server:
        settings = server.settings() | {
            "store_url": server.url().replace(str(server.root), str(disk))
        }
        store = open_store(load(settings, environ={}, file=Path("none")))
        yield store
        store.close()


def test_a_full_disk_is_told_and_leaves_no_part(full, source, tmp_path):
    first = full.put("models/1.ubj", source)
    large = tmp_path / "large"
    large.write_bytes(os.urandom(3_000_000))

    with pytest.raises(StoreFull, match=r"models/2\.ubj.*[sS]pace"):
        full.put("models/2.ubj", large)
    with pytest.raises(StoreFull):
        full.put("models/1.ubj", large)

    assert list(full.walk()) == ["models/1.ubj"]
    full.get(first.uri, first.sha256, tmp_path / "back")
    full.put("models/3.ubj", source)


def test_a_disk_that_is_mounted_for_reading_alone_refuses(full, disk, source):
    full.put("models/1.ubj", source)
    if not for_reading_alone(disk):
        pytest.skip("no disk may be mounted here")

    for uri in ("models/1.ubj", "models/2.ubj", "splits/1.npz"):
        with pytest.raises(StoreRefused, match=rf"{uri}.*(read|write)"):
            full.put(uri, source)


def test_a_folder_that_takes_no_such_large_file_is_full(source, tmp_path):
    store = open_store(load({"store_url": str(tmp_path / "store")}, environ={}, file=Path("none")))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    try:
        with pytest.raises(StoreFull, match="large"):
            store.put("models/1.ubj", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert list(store.walk()) == []


def test_a_folder_that_must_not_be_written_refuses(source):
    # Not even root may make folders there.
    store = open_store(load({"store_url": "/sys/deepcredit"}, environ={}, file=Path("none")))

    with pytest.raises(StoreRefused, match=r"/sys/deepcredit.*write"):
        store.put("models/1.ubj", source)
