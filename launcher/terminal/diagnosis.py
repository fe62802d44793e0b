"""What may be wrong with an installation: one function a subject, each a few findings."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from configs.errors import BadSetting, ClusterUnavailable, DeepCreditError
from configs.installed import can_use_cards, version_of
from configs.settings import PREFIX, SECRETS
from configs.wording import counted, refusal
from launcher.cluster.certificates import ending
from launcher.cluster.connection import connect
from launcher.host.private import everybody_may_use
from launcher.service.clusters import certificates
from launcher.terminal import database_findings, launcher_findings
from launcher.terminal.findings import Finding, Found, Level, fail, ok, warn
from launcher.terminal.session import Session
from pipeline import ownership
from pipeline.ownership import Standing
from storage import identity, named_files
from storage.artifacts.opening import open_store

_PORT_SECONDS = 5.0
_FEW_GB, _NO_GB = 5.0, 0.5
_GPU_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def examine(session: Session, role: str) -> Iterator[Finding]:
    """Every finding, as it is made. A subject that cannot be examined is a finding itself."""
    closed: set[str] = set()
    for subject, look in _subjects(role).items():
        if closed & _NEEDS.get(subject, set()):
            continue
        try:
            for level, text in look(session):
                yield Finding(level, subject, text)
        except Exception as error:  # the other subjects are of use all the same
            yield Finding(Level.FAIL, subject, " ".join(_told(error).split()))
            closed.add(subject)


def _told(error: Exception) -> str:
    if isinstance(error, DeepCreditError):
        return str(error)
    return refusal(error) or f"unexpected {type(error).__name__}: {error}"


def _settings(session: Session) -> Found:
    settings = session.settings
    python = ".".join(map(str, sys.version_info[:3]))
    yield ok(f"deepcredit {version_of('deepcredit')} on Python {python}")
    secrets = [name for name in SECRETS if getattr(settings, name) is not None]
    yield ok(f"secrets from the environment: {', '.join(secrets) or 'none'}")
    named = [os.environ.get(f"{PREFIX}{name.upper()}_FILE", "") for name in SECRETS]
    for file in filter(None, (*named, str(settings.sftp_key_file or ""))):
        with suppress(OSError):  # what needs it says so
            if everybody_may_use(Path(file)):
                yield warn(f"{file}: everybody may use this file of a secret; chmod 600 it")
    for name in ("log_dir", "cache_dir"):
        folder = getattr(settings, name)
        try:
            _write_into(folder)
        except OSError as error:
            yield fail(
                f"{name} {folder}: {error.strerror}; set {PREFIX}{name.upper()} to a folder that "
                "this user may write",
            )


def _write_into(folder: Path) -> None:
    """Raises OSError. What it makes it removes: root's folders would be closed to launchers."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.touch()
        probe.unlink()
    finally:
        with suppress(OSError):  # somebody else puts something there meanwhile
            for each in made:
                each.rmdir()


def _store(session: Session) -> Found:
    with closing(open_store(session.settings)) as store:
        yield ok(store.check())


def _owner(session: Session) -> Found:
    ours = session.read(identity.database_id)
    with closing(open_store(session.settings)) as store:
        standing = ownership.examine(store, ours, lambda: session.read(named_files.uris))
    if standing is Standing.UNMARKED:
        yield warn(
            "the store bears no mark of a database, so nothing is ever deleted there; if its "
            f"files are those of this database ({ours}): deepcredit store adopt"
        )
    else:
        yield ok(f"{standing.value} ({ours})")


def _disk(session: Session) -> Found:
    settings = session.settings
    folders = {"cache_dir": settings.cache_dir, "log_dir": settings.log_dir}
    if "://" not in settings.store_url:
        folders["store_url"] = Path(settings.store_url)
    for name, folder in folders.items():
        there = next(
            path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()
        )
        free = shutil.disk_usage(there).free / 1e9
        what = f"{name} {folder}: {free:.1f} GB free"
        if free < _FEW_GB:
            say = fail if free < _NO_GB else warn
            yield say(f"{what}; free some space or set another folder")
        else:
            yield ok(what)


def _dask(session: Session) -> Found:
    address = session.settings.scheduler
    if not address:
        workers = session.settings.workers or "one a core"
        yield ok(f"embedded cluster, workers: {workers}")
        if session.settings.cluster:
            yield warn(
                "launchers with these settings do not use the cluster of the table [cluster]: set "
                "`scheduler` to what `deepcredit cluster start` prints"
            )
        return
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), _PORT_SECONDS).close()
    except OSError as error:
        start = "`deepcredit cluster start`" if session.settings.cluster else "start it"
        why = error.strerror or error
        yield fail(f"nothing answers at {address}: {why}; {start} or check DEEPCREDIT_SCHEDULER")
        return
    try:
        files = certificates(session.settings)
        with closing(connect(address, files)) as executor:
            workers = executor.workers
    except (ClusterUnavailable, BadSetting) as error:
        yield fail(str(error))
        return
    yield ok(f"{parts.netloc}: {counted(workers, 'thread')}, versions equal to ours")
    yield from map(warn, ending(files))


def _gpus(_session: Session) -> Found:
    if shutil.which(_GPU_QUERY[0]) is None:
        yield ok("no nvidia-smi: models are trained on the CPU")
        return
    done = subprocess.run(_GPU_QUERY, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        yield warn(f"nvidia-smi fails: {done.stdout.strip() or done.stderr.strip()}")
        return
    cards = done.stdout.strip().splitlines()
    yield ok(f"{len(cards)} GPU: {'; '.join(cards)}")
    if blind := [name for name in ("torch", "xgboost") if not can_use_cards(name)]:
        yield warn(
            f"built for the CPU alone: {', '.join(blind)}; `make setup GPU=1` installs the CUDA "
            "builds"
        )


_NEEDS = {
    "schema": {"database"},
    "data sets": {"database", "schema"},
    "clock": {"database"},
    "store owner": {"database", "schema", "model store"},
    "launchers": {"database"},
}


def _subjects(role: str) -> dict[str, Callable[[Session], Found]]:
    """What looks at each, in the order in which people read them."""
    return {
        "settings": _settings,
        "database": partial(database_findings.database, role=role),
        "schema": database_findings.schema,
        "data sets": partial(database_findings.datasets, role=role),
        "clock": database_findings.clock,
        "model store": _store,
        "store owner": _owner,
        "disk": _disk,
        "dask": _dask,
        "gpu": _gpus,
        "launchers": launcher_findings.launchers,
    }
