"""Where a launcher's batches find their Dask scheduler. Imports no Dask: launchers stay small."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import structlog

from configs.cluster import certificates_in
from configs.errors import BadSetting, ClusterAway
from configs.logs import level_of
from configs.settings import Settings, without_a_hosts_own
from configs.wording import refusal
from launcher.host import python
from launcher.host.addresses import is_open

COMMAND = python.program("launcher.cluster.local")
_START_SECONDS = 120.0
_CLOSE_SECONDS = 10.0
_PORT_SECONDS = 3.0  # the launcher does nothing else meanwhile
_KILL_SECONDS = 0.1  # between looks at one that is starting

ReadCertificates = Callable[[], Mapping[str, str] | None]
"""Raises BadSetting: they cannot be read."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where to connect; `certificates` (ca, cert, key as PEM text) if it asks for TLS, as the
    embedded one does, and others may.
    """

    address: str
    certificates: Mapping[str, str] | None = field(default=None, repr=False)
    embedded: bool = False


class Cluster(Protocol):
    """Gives batches a scheduler."""

    def scheduler(self) -> Scheduler:
        """May take as long as a local cluster takes to start. Raises ClusterAway."""
        ...

    def answers(self) -> bool:
        """Whether it is worth another try, after batches found that it cannot be used."""
        ...

    def close(self) -> None: ...


class ExternalCluster:
    """A scheduler that others started; whether it answers is for the batch to find out.

    `certificates` reads them, for each batch anew: they end while a launcher runs.
    """

    def __init__(self, address: str, certificates: ReadCertificates = lambda: None) -> None:
        self._address = address
        self._certificates = certificates

    def scheduler(self) -> Scheduler:
        try:
            return Scheduler(self._address, self._certificates())
        except BadSetting as error:  # no fault of the batch
            raise ClusterAway(str(error)) from error

    def answers(self) -> bool:
        """Whether a scheduler's port is open; whether it has workers is for the batch, too."""
        return is_open(self._address, _PORT_SECONDS)

    def close(self) -> None:
        """Leave it alone: it serves others too."""


class EmbeddedCluster:
    """A local cluster in a process of its own, started when first asked for and again if it died.

    It listens on loopback alone and speaks TLS with a key that never leaves these processes, so
    that no other user of the host can send it code. When this process dies, it dies.
    """

    def __init__(self, settings: Settings) -> None:
        self._wanted = settings.workers
        self._directory = settings.cache_dir.absolute() / "dask"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._scheduler: Scheduler | None = None

    def scheduler(self) -> Scheduler:
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                log.warning("embedded cluster died", exit_code=self._process.returncode)
                self._end()
            if self._scheduler is None:
                self._scheduler = self._start()
            return self._scheduler

    def answers(self) -> bool:
        """It is started when a batch asks for it."""
        return True

    def close(self) -> None:
        """Soon, also while another thread waits for it to start, which may take minutes."""
        while not self._lock.acquire(timeout=_KILL_SECONDS):
            if (process := self._process) is not None:
                process.kill()
        try:
            self._end()
        finally:
            self._lock.release()

    def _start(self) -> Scheduler:
        # Our own environment: our settings were read from it, and others may have beaten it.
        self._process = process = python.piped(COMMAND, without_a_hosts_own(python.environment()))
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"workers": self._wanted, "directory": str(self._directory)}
        threading.Thread(target=_forward, args=(process,), daemon=True).start()
        timer = threading.Timer(_START_SECONDS, process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            timer.cancel()
        if not answer:
            self._end()
            raise ClusterAway(
                "the embedded Dask cluster did not start; the launcher's log has what it printed"
            )
        body: dict[str, Any] = json.loads(answer)
        crew = {"workers": body["workers"], "cards": body["cards"]}
        log.info("embedded cluster started", pid=process.pid, **crew)
        if body["workers"] < self._wanted:
            log.warning(
                "fewer workers than the setting asks for, as threads never exceed cores",
                wanted=self._wanted,
                workers=body["workers"],
            )
        return Scheduler(body["address"], body["certificates"], embedded=True)

    def _end(self) -> None:
        process, self._process, self._scheduler = self._process, None, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def make_cluster(settings: Settings) -> Cluster:
    """Raises BadSetting: the certificates for an external cluster cannot be read."""
    if settings.scheduler:
        certificates(settings)
        return ExternalCluster(settings.scheduler, partial(certificates, settings))
    return EmbeddedCluster(settings)


def certificates(settings: Settings) -> dict[str, str] | None:
    """What an external scheduler with TLS asks for."""
    if not settings.scheduler.startswith("tls://"):
        return None
    if settings.cluster is None or settings.cluster.certificates is None:
        raise BadSetting(
            f"scheduler: {settings.scheduler} speaks TLS; name the folder of its certificates as "
            "`certificates` in the table [cluster] of deepcredit.toml"
        )
    try:
        return certificates_in(settings.cluster.certificates)
    except ValueError as error:
        raise BadSetting(f"cluster.certificates: {error}") from error
    except OSError as error:
        raise BadSetting(
            f"cluster.certificates: {refusal(error) or error}; copy the folder of the certificates "
            "from where `deepcredit cluster start` runs, for this account alone"
        ) from error


def _forward(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    with process.stderr as stream:
        for line in python.lines_of(stream):
            log.log(level_of(line), "cluster says", line=line)
