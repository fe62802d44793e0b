import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import storage.cache
import storage.eviction
from configs.errors import ArtifactDamaged, ArtifactMissing, BadSetting, DiskFull
from configs.settings import load
from storage import arrays
from storage.artifacts.folder import FolderStore
from storage.artifacts.port import Stored
from storage.cache import Cache, open_cache, sha256_of
from tests.leftovers import left_behind
from tests.waiting import until

CONTENT = b"content" * 10_000
SHA256 = sha256(CONTENT).hexdigest()


class Counting(FolderStore):
    """Notes every get in a file, one line each."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.notes = root.parent / "gets"
        self.notes.touch()

    def get(self, uri: str, sha256: str, target: Path) -> None:
        with self.notes.open("a") as notes:
            notes.write(f"{uri}\n")
        super().get(uri, sha256, target)

    @property
    def gets(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def store(tmp_path) -> Counting:
    return Counting(tmp_path / "store")


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def put(store: FolderStore, folder: Path, uri: str, content: bytes) -> Stored:
    source = folder / "source"
    source.write_bytes(content)
    return store.put(uri, source)


def files(cache_folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in cache_folder.glob("files/*/*"))


def unused_for(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_an_adopted_file_is_found_by_its_content(cache, tmp_path):
    source = tmp_path / "행렬.npy"
    source.write_bytes(CONTENT)
    assert cache.path(SHA256) is None

    found, path = cache.adopt(source)

    assert found == SHA256 == sha256_of(path)
    assert cache.path(SHA256) == path
    assert path.is_absolute()
    assert path.read_bytes() == CONTENT
    assert not source.exists()


def test_the_same_content_is_kept_once(cache, tmp_path):
    paths = set()
    for name in ("a", "b"):
        (cache.scratch() / name).write_bytes(CONTENT)
        paths.add(cache.adopt(cache.scratch() / name)[1])

    assert len(paths) == 1
    assert files(tmp_path / "cache") == [CONTENT]
    assert list(cache.scratch().iterdir()) == []


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"x" * len(CONTENT)])
def test_a_damaged_file_is_replaced_whoever_asks_for_it(cache, store, tmp_path, damaged):
    stored = put(store, tmp_path, "matrices/1.npy", CONTENT)
    for ask in ("adopt", "fetch"):
        path = cache.fetch(store, stored.uri, stored.sha256)
        path.chmod(0o644)
        path.write_bytes(damaged)
        later = Cache(tmp_path / "cache")  # as another process finds it

        if ask == "adopt":
            (later.scratch() / "a").write_bytes(CONTENT)
            _, path = later.adopt(later.scratch() / "a")
        else:
            path = later.fetch(store, stored.uri, stored.sha256)

        assert path.read_bytes() == CONTENT
        cache = Cache(tmp_path / "cache")


def test_a_file_of_another_file_system_is_adopted_too(cache):
    source = Path("/dev/shm", f"deepcredit-test-{os.getpid()}")
    source.write_bytes(CONTENT)

    _, path = cache.adopt(source)

    assert path.read_bytes() == CONTENT
    assert not source.exists()
    assert list(cache.scratch().iterdir()) == []


def test_cached_files_are_for_us_alone_to_read(cache, tmp_path):
    (cache.scratch() / "a").write_bytes(CONTENT)

    _, path = cache.adopt(cache.scratch() / "a")

    assert path.stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_what_was_fetched_once_is_not_fetched_again(cache, store, tmp_path):
    stored = put(store, tmp_path, "models/모델.ubj", CONTENT)

    first = cache.fetch(store, stored.uri, stored.sha256)
    again = Cache(tmp_path / "cache").fetch(store, stored.uri, stored.sha256)

    assert first == again
    assert first.read_bytes() == CONTENT
    assert store.gets == ["models/모델.ubj"]


def test_what_the_store_refuses_is_not_kept(cache, store, tmp_path):
    stored = put(store, tmp_path, "models/1.ubj", CONTENT)
    (tmp_path / "store/models/1.ubj").write_bytes(CONTENT[:-1] + b"!")

    with pytest.raises(ArtifactDamaged):
        cache.fetch(store, stored.uri, stored.sha256)
    with pytest.raises(ArtifactMissing):
        cache.fetch(store, "models/2.ubj", SHA256)

    assert cache.path(SHA256) is None
    assert list(cache.scratch().iterdir()) == []
    put(store, tmp_path, "models/1.ubj", CONTENT)
    assert cache.fetch(store, stored.uri, stored.sha256).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "G" * 64, f"{SHA256}\n"])
def test_a_hash_that_is_none_is_refused(cache, store, name):
    with pytest.raises(ArtifactDamaged, match="not the SHA-256"):
        cache.path(name)
    with pytest.raises(ArtifactDamaged, match="not the SHA-256"):
        cache.fetch(store, "models/1.ubj", name)


def test_of_many_threads_one_fetches(store, tmp_path):
    stored = put(store, tmp_path, "models/1.ubj", CONTENT)
    begin = threading.Barrier(12)

    def fetch(_: int) -> bytes:
        cache = Cache(tmp_path / "cache")
        begin.wait(10)
        return cache.fetch(store, stored.uri, stored.sha256).read_bytes()

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(fetch, range(12))) == {CONTENT}

    assert len(store.gets) == 1


FETCH = """
import sys
from pathlib import Path
from storage.artifacts.folder import FolderStore
from storage.cache import Cache

folder, uri, sha256 = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


class Stuck(FolderStore):
    def get(self, uri, sha256, target):
        target.touch()
        sys.stdin.read()


Cache(folder / "cache").fetch(Stuck(folder / "store"), uri, sha256)
"""


def test_another_process_waits_for_the_one_that_fetches_and_takes_over_when_it_dies(
    cache, store, tmp_path
):
    put(store, tmp_path, "models/1.ubj", CONTENT)
    command = [sys.executable, "-c", FETCH, str(tmp_path), "models/1.ubj", SHA256]
    scratch = tmp_path / "cache/scratch"
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        until(lambda: scratch.is_dir() and list(scratch.iterdir()))
        waiting = pool.submit(cache.fetch, store, "models/1.ubj", SHA256)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        assert store.gets == []
        process.send_signal(signal.SIGKILL)

        assert waiting.result(timeout=20).read_bytes() == CONTENT
    assert store.gets == ["models/1.ubj"]


def test_nobody_waits_for_ever_for_a_process_that_is_frozen(cache, store, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.cache._ALONE_SECONDS", 0.2)
    stored = put(store, tmp_path, "models/1.ubj", CONTENT)

    with Cache(tmp_path / "cache")._alone(stored.sha256):
        path = cache.fetch(store, stored.uri, stored.sha256)

    assert path.read_bytes() == CONTENT


def adopt(cache: Cache, content: bytes, *, unused: float) -> Path:
    (cache.scratch() / "new").write_bytes(content)
    _, path = cache.adopt(cache.scratch() / "new")
    unused_for(path, unused)
    return path


def test_above_the_limit_the_longest_unused_go_first(tmp_path):
    cache = Cache(tmp_path / "cache", limit_bytes=3500)
    contents = [bytes([number]) * 1000 for number in range(5)]
    for age, content in zip((300, 500, 400), contents, strict=False):
        adopt(cache, content, unused=age)
    cache.path(sha256(contents[1]).hexdigest())  # was the longest unused until now

    adopt(cache, contents[3], unused=200)
    adopt(cache, contents[4], unused=100)

    assert files(tmp_path / "cache") == [contents[1], contents[3], contents[4]]


def test_who_is_late_to_find_a_damaged_file_leaves_what_has_replaced_it(
    cache, store, tmp_path, monkeypatch
):
    stored = put(store, tmp_path, "matrices/1.npy", CONTENT)
    path = cache.fetch(store, stored.uri, stored.sha256)
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    late = Cache(tmp_path / "cache")
    found = []

    def hashed(file):
        value = sha256_of(file)
        if not found:  # the late one has read it; before it goes on another process replaces it
            found.append(value)
            Cache(tmp_path / "cache").fetch(store, stored.uri, stored.sha256)
        return value

    monkeypatch.setattr(storage.cache, "sha256_of", hashed)

    assert late.path(stored.sha256) is None
    assert path.read_bytes() == CONTENT


def test_files_from_before_the_clock_was_set_back_go_too(tmp_path):
    cache = Cache(tmp_path / "cache", limit_bytes=1500)
    adopt(cache, b"1" * 1000, unused=-3600)

    adopt(cache, b"2" * 1000, unused=0)
    cache.evict()

    assert files(tmp_path / "cache") == [b"2" * 1000]


def test_files_asked_for_a_moment_ago_stay_even_above_the_limit(tmp_path):
    cache = Cache(tmp_path / "cache", limit_bytes=1500)
    contents = [bytes([number]) * 1000 for number in range(3)]
    for content in contents:
        adopt(cache, content, unused=30)

    assert files(tmp_path / "cache") == contents


def test_a_disk_that_is_full_of_what_nobody_needs_is_made_free(store, disk):
    cache = Cache(disk / "cache")
    old, new = (put(store, store.notes.parent, name, name.encode() * 600_000) for name in "ab")
    unused_for(cache.fetch(store, old.uri, old.sha256), 100)

    path = cache.fetch(store, new.uri, new.sha256)

    assert path.read_bytes() == b"b" * 600_000
    assert cache.path(old.sha256) is None
    assert list(cache.scratch().iterdir()) == []


def test_room_is_made_for_a_file_that_is_written_here_too(disk):
    cache = Cache(disk / "cache")
    sha256, old = cache.make(lambda file: file.write_bytes(b"a" * 600_000))
    unused_for(old, 100)

    _, new = cache.make(lambda file: file.write_bytes(b"b" * 600_000))
    with pytest.raises(DiskFull, match="no space left on this local disk"):
        cache.make(lambda file: file.write_bytes(b"c" * 600_000))

    assert cache.path(sha256) is None
    assert new.read_bytes() == b"b" * 600_000
    assert list(cache.scratch().iterdir()) == []


def test_arrays_that_find_no_room_are_no_fault_of_theirs(disk):
    cache = Cache(disk / "cache")

    with pytest.raises(DiskFull, match="no space left on this local disk"):
        cache.make(lambda file: arrays.save(file, {"y": np.zeros(200_000)}))


def test_a_disk_that_is_full_of_what_is_needed_is_said_to_be(store, disk):
    cache = Cache(disk / "cache")
    first, second = (put(store, store.notes.parent, name, name.encode() * 600_000) for name in "ab")
    cache.fetch(store, first.uri, first.sha256)

    with pytest.raises(DiskFull, match="no space left on this local disk"):
        cache.fetch(store, second.uri, second.sha256)

    assert cache.path(first.sha256) is not None
    assert list(cache.scratch().iterdir()) == []


@contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """As a user to whom the folder is closed, or at least its making of files."""
    if os.geteuid():
        folder.chmod(0o500)
    else:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_cache_of_another_user_is_named_with_what_to_set(cache, store, tmp_path):
    stored = put(store, tmp_path, "models/1.ubj", CONTENT)

    with (
        as_somebody_else(tmp_path),
        pytest.raises(BadSetting, match=rf"may not work in {tmp_path}/cache .*_CACHE_DIR"),
    ):
        cache.fetch(store, stored.uri, stored.sha256)


@pytest.mark.parametrize("below", ["cache", "file", "file/cache"])
def test_that_a_cache_cannot_be_written_is_found_out_without_a_file(tmp_path, below):
    (tmp_path / "file").touch()
    Cache(tmp_path / "mine").check()

    with (
        as_somebody_else(tmp_path),
        pytest.raises(BadSetting, match=rf"may not work in {tmp_path}/{below} .*_CACHE_DIR"),
    ):
        Cache(tmp_path / below).check()

    assert list((tmp_path / "mine" / "scratch").iterdir()) == []


def test_without_a_limit_nothing_goes(cache, tmp_path):
    for number in range(3):
        adopt(cache, bytes([number]) * 1000, unused=10_000)

    cache.evict()

    assert len(files(tmp_path / "cache")) == 3


def test_a_file_that_is_asked_for_while_it_is_evicted_stays(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache", limit_bytes=1)
    path = adopt(cache, CONTENT, unused=1000)
    honest, asked = storage.eviction.unused_seconds, []

    def ask_after_the_look(looked_at: Path) -> float:
        seconds = honest(looked_at)
        if looked_at == path and not asked:
            asked.append(cache.path(SHA256))
        return seconds

    monkeypatch.setattr("storage.eviction.unused_seconds", ask_after_the_look)
    cache.evict()

    assert asked == [path]
    assert path.read_bytes() == CONTENT
    assert list(cache.scratch().iterdir()) == []


def test_who_has_a_file_mapped_keeps_it(tmp_path):
    cache = Cache(tmp_path / "cache", limit_bytes=1000)
    path = adopt(cache, CONTENT, unused=1000)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as seen:
        cache.evict()

        assert not path.exists()
        assert bytes(seen) == CONTENT


def test_a_file_that_is_held_stays_until_its_holder_closes_or_dies(tmp_path):
    cache = Cache(tmp_path / "cache")
    held = adopt(cache, CONTENT, unused=1000)
    other = adopt(cache, CONTENT[1:], unused=900)
    cache.limit_bytes = 1000
    holder = f"""
import sys
from pathlib import Path
from storage.cache import Cache
cache = Cache(Path({str(tmp_path / "cache")!r}))
cache.hold(Path({str(held)!r}))
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        cache.hold(held)
        cache.evict()
        assert (held.exists(), other.exists()) == (True, False)

        cache.close()
        cache.evict()
        assert held.exists()
        process.kill()

    cache.evict()
    assert not held.exists()


def test_scratch_that_nobody_finished_goes_after_days(cache):
    old, young = cache.scratch() / "old", cache.scratch() / "young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "matrix.npy").touch()
    unused_for(old, 3 * 24 * 3600)

    cache.evict()

    assert list(cache.scratch().iterdir()) == [young]


def test_a_folder_that_is_held_is_no_scratch_that_nobody_finished(cache):
    with cache.folder() as held:
        (held / "model").touch()
        unused_for(held, 3 * 24 * 3600)  # a fit may take days
        cache.evict()
        assert (held / "model").exists()

    assert list(cache.scratch().iterdir()) == []


def test_folders_of_dead_processes_go_from_the_cache(cache):
    folder = left_behind(cache.scratch())
    (folder / "matrix.npy").touch()

    cache.evict()

    assert list(cache.scratch().iterdir()) == []


def test_the_limit_comes_from_the_settings(tmp_path):
    for megabytes, limit in ((1, 1_000_000), (0, None)):
        values = {"cache_dir": tmp_path, "cache_limit_mb": megabytes}
        cache = open_cache(load(values, environ={}, file=Path("none")))

        assert cache.limit_bytes == limit
