"""A bank's installation for acceptance tests: MariaDB, SFTP and a Dask scheduler with workers.

It speaks only as an operator does: SQL through the `mariadb` client, and the command line, of which
launchers are processes.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from launcher.service.clusters import ExternalCluster
from tests.commands import deepcredit
from tests.mariadb import PASSWORD, MariaDB
from tests.ports import free_port
from tests.sshd import SshServer
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("DEEPCREDIT_SHARED", ROOT.parent / "shared"))


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """An environment that knows these settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DEEPCREDIT_")}
    folders = {
        "DATABASE_URL": f"sqlite:///{folder / 'deepcredit.db'}",
        "STORE_URL": str(folder / "store"),
        "CACHE_DIR": str(folder / "cache"),
        "LOG_DIR": str(folder / "logs"),
    }
    named = {f"DEEPCREDIT_{name}": value for name, value in (folders | settings).items()}
    return inherited | named | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}


@dataclass
class Bank:
    """`sql` asks the database, `deepcredit` runs a command, `launcher` starts a daemon."""

    folder: Path
    env: Mapping[str, str]
    sql: Callable[[str], list[list[str]]]
    launchers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def deepcredit(self, *words: str, expect: int = 0) -> str:
        code, out, error = deepcredit(self.folder, self.env, *words)
        assert code == expect, f"{words}: {code}\n{error}"
        return out if expect == 0 else error

    def launcher(self, name: str = "SERVER_001", *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "launcher", "launcher", name, *options]
        process = subprocess.Popen(command, cwd=self.folder, env=dict(self.env))
        self.launchers.append(process)
        return process

    def add_model(self, number: int, model_id: str, group: str, param: Mapping[str, Any]) -> None:
        self.sql(
            "INSERT INTO dc_model_list (model_no, model_id, model_group_id, model_param) "
            f"VALUES ({number}, '{model_id}', '{group}', '{json.dumps(param)}')"
        )

    def state(self, batch_id: int) -> str:
        return self.sql(f"SELECT state FROM dc_batch WHERE batch_id = {batch_id}")[0][0]

    def wait(
        self, condition: Callable[[], Any], seconds: float = 120, *, every: float = 0.1
    ) -> Any:
        """Wait until the condition holds, and return what it returned."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"still not after {seconds} s\n{self.log()}"
            time.sleep(every)

    def log(self) -> str:
        files = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(file.read_text(encoding="utf-8")[-4000:] for file in files)

    def close(self) -> None:
        for process in self.launchers:
            if process.poll() is None:
                end(process.pid)
            process.wait()


@contextmanager
def real_bank(
    folder: Path, mariadb: MariaDB, sshd: SshServer, *, workers: int = 2, **settings: str
) -> Iterator[Bank]:
    """A bank on MariaDB and SFTP, with an external scheduler and `workers` worker processes."""
    database = mariadb.new_database()
    with ExitStack() as stack:
        stack.callback(mariadb.drop_database, database)
        sftp = sshd.settings(f"{database}_{mariadb.port}")  # names recur on other servers
        env = environment(
            folder,
            DATABASE_URL=mariadb.url(database),
            DATABASE_PASSWORD=PASSWORD,
            STORE_URL=sftp["store_url"],
            SFTP_KEY_FILE=str(sftp["sftp_key_file"]),
            SFTP_KNOWN_HOSTS=str(sftp["sftp_known_hosts"]),
            **settings,
        )
        if workers:
            env["DEEPCREDIT_SCHEDULER"] = stack.enter_context(dask(folder, env, workers))

        def sql(statement: str) -> list[list[str]]:
            answer = mariadb.client(statement, database)
            return [line.split("\t") for line in answer.splitlines()]

        bank = Bank(folder, env, sql)
        stack.callback(bank.close)
        bank.deepcredit("db", "upgrade")
        yield bank


@contextmanager
def dask(folder: Path, env: Mapping[str, str], workers: int) -> Iterator[str]:
    """A scheduler and worker processes; yields the address when the scheduler listens."""
    address = f"tcp://127.0.0.1:{free_port()}"
    common = [sys.executable, "-P", "-m", "launcher"]
    quiet = ["--", "--no-dashboard"]
    worker = [*common, "worker", address, *quiet, "--host", "127.0.0.1", "--local-directory"]
    commands = [
        [*common, "scheduler", address, *quiet],
        *([*worker, str(folder / f"worker{number}")] for number in range(workers)),
    ]
    processes: list[subprocess.Popen[bytes]] = []
    with (folder / "dask.log").open("ab") as log:
        try:
            processes.extend(
                subprocess.Popen(command, env=dict(env), cwd=folder, stdout=log, stderr=log)
                for command in commands
            )
            until(ExternalCluster(address).answers)
            yield address
        finally:
            for process in processes:
                end(process.pid)
                process.wait()


def end(pid: int) -> None:
    """Kill a process and all that it started."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


@contextmanager
def small_bank(folder: Path, *, workers: int = 0, **settings: str) -> Iterator[Bank]:
    """A bank on the embedded default: SQLite and a folder; with `workers`, an external Dask."""
    with ExitStack() as stack:
        env = environment(folder, **settings)
        if workers:
            env["DEEPCREDIT_SCHEDULER"] = stack.enter_context(dask(folder, env, workers))

        def sql(statement: str) -> list[list[str]]:
            with closing(sqlite3.connect(folder / "deepcredit.db", timeout=30)) as connection:
                rows = connection.execute(statement).fetchall()
                connection.commit()
            return [["NULL" if value is None else str(value) for value in row] for row in rows]

        bank = Bank(folder, env, sql)
        stack.callback(bank.close)
        bank.deepcredit("db", "upgrade")
        yield bank


def families(launcher: int, name: str) -> list[psutil.Process]:
    """The processes below a launcher whose command line has `name`."""
    found = []
    for process in psutil.Process(launcher).children(recursive=True):
        try:
            if any(name in word for word in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
