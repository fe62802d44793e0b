"""What both adapters of the model store must do: one suite, run on a folder and over SFTP."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from configs.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    BadSetting,
    StoreUnavailable,
)
from configs.settings import load
from storage.artifacts.folder import FolderStore
from tests.places import Place
from tests.waiting import until

KOREAN = "models/T12/3/신용 평가 모델 1.f2.ubj"
NOTHING = sha256(b"").hexdigest()


@pytest.fixture
def source(tmp_path) -> Path:
    file = tmp_path / "source"
    file.write_bytes(os.urandom(100_000))
    return file


def test_what_was_put_comes_back(place, tmp_path):
    for size in (0, 1, 32511, 32512, 32513, 3_000_000):
        content = os.urandom(size)
        source = tmp_path / "source"
        source.write_bytes(content)

        stored = place.store.put(f"sizes/{size}.npy", source)
        place.store.get(stored.uri, stored.sha256, tmp_path / "back")

        assert stored.uri == f"sizes/{size}.npy"
        assert (stored.sha256, stored.bytes) == (sha256(content).hexdigest(), size)
        assert (tmp_path / "back").read_bytes() == content
        assert source.read_bytes() == content


def test_a_folder_that_is_made_is_for_nobody_else_and_one_that_is_there_stays_as_it_is(
    source, tmp_path
):
    for mode in (0o700, 0o750):
        FolderStore(tmp_path / "new" / "store").put(KOREAN, source)
        assert (tmp_path / "new" / "store").stat().st_mode & 0o777 == mode
        (tmp_path / "new" / "store").chmod(0o750)


def test_a_second_put_replaces_the_first_and_leaves_nothing_else(place, source, tmp_path):
    place.store.put(KOREAN, source)
    source.write_bytes(b"second")

    stored = place.store.put(KOREAN, source)

    place.store.get(KOREAN, stored.sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"second"
    assert list(place.store.walk()) == [KOREAN]


def test_readers_see_one_of_two_files_never_a_part(place, tmp_path):
    contents = [bytes([number]) * 200_000 for number in (1, 2)]
    sources = [tmp_path / "one", tmp_path / "two"]
    for file, content in zip(sources, contents, strict=True):
        file.write_bytes(content)
    place.store.put("a/model.ubj", sources[0])
    done = threading.Event()

    def write() -> None:
        for number in range(40):
            place.store.put("a/model.ubj", sources[number % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        reads = 0
        while not done.is_set() and not writer.done():
            assert (place.root / "a/model.ubj").read_bytes() in contents
            reads += 1
        writer.result()

    assert reads > 0


def test_a_missing_file_is_told_by_name_and_makes_no_target(place, source, tmp_path):
    place.store.put("models/1.ubj", source)

    for uri in ("models/2.ubj", "nowhere/1.ubj", "models", "models/1.ubj/2.ubj"):
        with pytest.raises(ArtifactMissing, match=uri):
            place.store.get(uri, NOTHING, tmp_path / "target" / "file")

    assert list((tmp_path / "target").iterdir()) == []


def test_a_store_that_is_gone_is_no_reason_to_call_every_model_missing(place, tmp_path):
    with pytest.raises(StoreUnavailable, match="mounted"):
        place.store.get("models/1.ubj", NOTHING, tmp_path / "target")


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "empty"])
def test_a_damaged_file_is_refused_and_the_target_stays_as_it_was(place, source, tmp_path, damage):
    stored = place.store.put(KOREAN, source)
    there = place.root / KOREAN
    content = bytearray(there.read_bytes())
    content[50_000] ^= 1
    changed = {"changed": content, "shorter": content[:-1], "longer": content + b"\0", "empty": b""}
    there.write_bytes(changed[damage])
    target = tmp_path / "target" / "model"
    target.parent.mkdir()
    target.write_bytes(b"old")

    with pytest.raises(ArtifactDamaged, match="신용 평가 모델"):
        place.store.get(KOREAN, stored.sha256, target)

    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_file_in_a_folder_is_not_waited_for(tmp_path):
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "store" / "pipe")
    (tmp_path / "store" / "device").symlink_to("/dev/zero")

    for name in ("pipe", "device"):
        with pytest.raises(ArtifactMissing, match="not a file"):
            FolderStore(tmp_path / "store").get(name, "0" * 64, tmp_path / "target")


def test_deleting_twice_is_no_error(place, source):
    place.store.put(KOREAN, source)

    place.store.delete(KOREAN)
    place.store.delete(KOREAN)
    place.store.delete("nowhere/at/all")

    assert list(place.store.walk()) == []


def test_sizes_are_those_of_the_files(place, source):
    for uri, length in (("models/T1/1.ubj", 7), ("splits/a.safetensors", 0)):
        source.write_bytes(b"x" * length)
        place.store.put(uri, source)

    assert sorted(place.store.sizes()) == [("models/T1/1.ubj", 7), ("splits/a.safetensors", 0)]
    assert list(place.store.sizes("splits")) == [("splits/a.safetensors", 0)]


def test_walk_passes_over_what_the_file_system_has_salvaged(place, source):
    place.store.put("models/T1/1.ubj", source)
    (place.root / "lost+found").mkdir()
    (place.root / "lost+found" / "#42").touch()

    assert list(place.store.walk()) == ["models/T1/1.ubj"]


def test_walk_lists_below_a_folder_unfinished_uploads_included(place, source):
    uris = ["models/T1/1/1.f1.ubj", "models/T1/2/1.f1.ubj", "models/T12/1/1.f1.ubj", KOREAN, "top"]
    assert list(place.store.walk()) == []
    for uri in uris:
        place.store.put(uri, source)
    unfinished = "models/T1/1/1.f2.ubj.0123.tmp"
    (place.root / unfinished).touch()

    assert sorted(place.store.walk()) == sorted([*uris, unfinished])
    assert sorted(place.store.walk("models/T1")) == sorted([*uris[:2], unfinished])
    assert list(place.store.walk("models/T9")) == []
    assert list(place.store.walk("top")) == []
    place.store.delete(unfinished)
    assert sorted(place.store.walk("models/T1")) == sorted(uris[:2])


ESCAPES = ["/etc/x", "..", "../x", "a/../../x", "a//b", "a/./b", "a/", "a\\b"]
UNFIT = ["", "a\0b", "a\nb", "a\u2028b", "\ud800", "x" * 201, "가" * 67]


@pytest.mark.parametrize("uri", ESCAPES + UNFIT)
def test_a_uri_that_could_lead_out_is_refused(place, source, tmp_path, uri):
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(BadSetting, match="uri"):
        place.store.put(uri, source)
    with pytest.raises(BadSetting, match="uri"):
        place.store.get(uri, NOTHING, tmp_path / "target")
    with pytest.raises(BadSetting, match="uri"):
        place.store.delete(uri)
    if uri:
        with pytest.raises(BadSetting, match="uri"):
            list(place.store.walk(uri))

    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_a_folder_has_cannot_be_put(place, source):
    place.store.put("models/T1/1.ubj", source)

    with pytest.raises(BadSetting, match=r"models/T1: .*folder"):
        place.store.put("models/T1", source)

    assert list(place.store.walk()) == ["models/T1/1.ubj"]


@pytest.mark.parametrize("file", ["", "models"])
def test_a_file_that_has_the_name_of_a_folder_is_named(place, source, file):
    """Of the store's own, or of one in it."""
    taken = place.root / file
    taken.parent.mkdir(exist_ok=True)
    taken.write_text("somebody's")

    with pytest.raises(BadSetting, match=r"models/T1/1/1\.ubj: .*folder"):
        place.store.put("models/T1/1/1.ubj", source)

    assert taken.read_text() == "somebody's"


def test_a_name_that_marks_unfinished_uploads_cannot_be_put(place, source):
    with pytest.raises(BadSetting, match="unfinished"):
        place.store.put("models/1.ubj.tmp", source)


PUT = """
import json, sys
from pathlib import Path
from configs.settings import load
from storage.artifacts.opening import open_store

settings, uri, source = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
open_store(load(settings, environ={}, file=Path("none"))).put(uri, source)
"""


def test_a_put_that_is_killed_in_the_middle_leaves_the_old_file(place, source, tmp_path):
    stored = place.store.put("models/1.f1.ubj", source)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PUT, load_json(place), stored.uri, str(pipe)]
    with subprocess.Popen(command) as process, pipe.open("wb", buffering=0) as stream:
        stream.write(os.urandom(3_000_000))  # returns when most of it was read
        until(lambda: any(path.stat().st_size for path in place.root.rglob("*.tmp")))
        process.send_signal(signal.SIGKILL)

    place.store.get(stored.uri, stored.sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    (unfinished,) = (uri for uri in place.store.walk() if uri.endswith(".tmp"))
    assert unfinished.startswith("models/1.f1.ubj.")


def load_json(place: Place) -> str:
    return load(place.settings, environ={}, file=Path("none")).model_dump_json(
        include=set(place.settings)
    )


def test_a_source_that_cannot_be_read_leaves_nothing(place, tmp_path):
    with pytest.raises(FileNotFoundError):
        place.store.put("models/1.ubj", tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        place.store.put("models/1.ubj", tmp_path)

    assert list(place.store.walk()) == []


def test_many_threads_share_a_store(place, tmp_path):
    contents = [os.urandom(50_000 + number) for number in range(40)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.in").write_bytes(content)

    def there_and_back(number: int) -> bytes:
        stored = place.store.put(f"models/{number % 7}/{number}", tmp_path / f"{number}.in")
        place.store.get(stored.uri, stored.sha256, tmp_path / f"{number}.out")
        return (tmp_path / f"{number}.out").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, range(40))) == contents


def test_check_says_where_the_store_is_and_leaves_nothing(place):
    line = place.store.check()

    assert str(place.root) in line
    assert "GB free" in line
    assert list(place.store.walk()) == []
