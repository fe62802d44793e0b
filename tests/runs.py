"""Batches, and processes that run them, for tests of launchers."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from configs.settings import SECRETS, Settings
from launcher.service.child import spawn
from launcher.service.claimer import Claimer
from launcher.service.clusters import Cluster, ExternalCluster
from launcher.service.daemon import Daemon
from launcher.service.foreground import run_one
from launcher.service.profile import Profile
from launcher.service.supervisor import Outcome, Supervisor
from pipeline.messages import Progress
from storage import servers
from storage.engine import make_engine, reading
from storage.records import Batch
from storage.schema import dc_batch
from storage.servers import Server
from tests.calls import Calls
from tests.waiting import until

ROOT = Path(__file__).parents[1]
QUICK = {"lease_seconds": 1.6, "poll_seconds": 0.1, "grace_seconds": 20}
"""Settings of launchers that tests wait for."""
NOWHERE = ExternalCluster("tcp://127.0.0.1:1")


class Runs(Calls):
    """A database with batches, and stand-ins for children that note their pids in `folder`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(make_engine(settings))
        self.settings = settings
        self.folder = folder

    def add(self, **columns: Any) -> int:
        return super().add(**({"batch_desc": "신용 평가"} | columns))

    def row(self, batch_id: int) -> Any:
        query = select(dc_batch).where(dc_batch.c.batch_id == batch_id)
        with self.engine.connect() as connection:
            return connection.execute(query).one()

    def outcomes(self, batch_id: int) -> list[tuple[str | None, str | None]]:
        """Outcome and error class of each attempt, the first first."""
        return [(each.outcome, each.error_class) for each in reversed(self.attempts(batch_id))]

    def states_of(self, *batch_ids: int) -> list[str]:
        return [self.row(batch_id).state for batch_id in batch_ids]

    def servers(self) -> dict[str, Server]:
        """Launchers that are registered, by name."""
        with reading(self.engine) as connection:
            return {server.serve_server_id: server for server in servers.listing(connection)}

    def events(self, server_id: str = "L") -> list[dict[str, Any]]:
        """What a launcher has logged so far."""
        path = self.settings.log_dir / f"{server_id}.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def said(self, words: str) -> int:
        """How often the launcher has logged these words."""
        return [event["event"] for event in self.events()].count(words)

    def command(self, behaviour: str, name: str = "child") -> list[str]:
        script = ROOT / "tests" / "child.py"
        return [sys.executable, "-P", str(script), behaviour, str(self.folder / name)]

    def pid(self, name: str = "child") -> int:
        """Of the child, once it has its job."""
        path = self.folder / name
        until(path.exists)
        return int(path.read_text())

    def tell(self, name: str = "child") -> None:
        """Children that wait until they are told go on, and so do all that follow them."""
        (self.folder / f"{name}.go").touch()

    def claim(self, server: str = "A", **given: Any) -> Batch | None:
        return super().claim(server, **({"lease": self.settings.lease_seconds} | given))

    def claimer(self) -> Claimer:
        return Claimer(
            self.engine,
            self.engine,
            Profile(server_id="A"),
            lease_seconds=self.settings.lease_seconds,
        )

    def supervise(self, behaviour: str, command: list[str] | None = None) -> "Running":
        return Running(self.supervisor(lambda: spawn(command or self.command(behaviour))))

    def supervisor(
        self, start: Callable[[], "subprocess.Popen[bytes]"], cluster: Cluster = NOWHERE
    ) -> Supervisor:
        """Of a batch that is claimed now; `start` starts its child."""
        claimed_at = time.monotonic()
        return Supervisor(
            self.claim(),
            engine=self.engine,
            settings=self.settings,
            cluster=cluster,
            spawn=start,
            claimed_at=claimed_at,
        )

    def daemon(
        self,
        behaviour: str,
        server_id: str = "B",
        *,
        slots: int = 1,
        tags: tuple[str, ...] = (),
        queues: tuple[str, ...] = ("default",),
        **options: Any,
    ) -> Daemon:
        profile = Profile(server_id=server_id, slots=slots, tags=tags, queues=queues)
        usual = {"command": self.command(behaviour, name=server_id), "cluster": NOWHERE}
        return Daemon(self.settings, profile, **usual | options)

    def run_one(
        self,
        behaviour: str,
        batch_id: int,
        watch: Callable[[Progress], None] | None = None,
    ) -> bool:
        command = self.command(behaviour)
        return run_one(self.settings, "B", batch_id, watch=watch, command=command, cluster=NOWHERE)

    @contextmanager
    def launcher(
        self, behaviour: str, server_id: str = "L", slots: int = 1, **environment: str
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A launcher as a process; its child notes its pid under the server's id."""
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", str(ROOT / "tests" / "launcher.py"), server_id, str(slots)),
                *self.command(behaviour, name=server_id),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self._environment() | environment,
            stderr=subprocess.DEVNULL,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _environment(self) -> dict[str, str]:
        variables = {
            f"DEEPCREDIT_{name.upper()}": str(value)
            for name, value in self.settings.model_dump(exclude_none=True).items()
            if name not in SECRETS
        }
        if self.settings.database_password is not None:
            password = self.settings.database_password.get_secret_value()
            variables["DEEPCREDIT_DATABASE_PASSWORD"] = password
        return variables


class Running:
    """A supervisor at work in a thread."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def outcome(self, seconds: float = 20) -> Outcome:
        self._thread.join(seconds)
        assert self._outcome is not None, "still running"
        return self._outcome

    def _run(self) -> None:
        self._outcome = self.supervisor.run()


@contextmanager
def scheduler_away() -> Iterator[tuple[socket.socket, ExternalCluster]]:
    """A scheduler that does not answer yet, at a port that nobody else gets, and its cluster."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener, ExternalCluster(f"tcp://127.0.0.1:{listener.getsockname()[1]}")


@contextmanager
def in_thread(daemon: Daemon) -> Iterator[list[int]]:
    """A daemon at work; it is stopped at the end. The list gets its exit code."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(daemon.run()))
    thread.start()
    try:
        yield codes
    finally:
        daemon.stop()
        daemon.stop()
        thread.join(20)
        assert codes, "the daemon did not stop"
