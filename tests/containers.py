"""docker/compose.yaml without containers: its command lines as processes of this machine.

What a container has by its walls is put in by text: a service's name becomes 127.0.0.1, its ports
free ones, and the folders of secrets, volumes and configuration become folders of the test.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.bank import ROOT, end
from tests.mariadb import NOT_DURABLE, PASSWORD, MariaDB, running_mariadb
from tests.ports import free_port
from tests.sshd import current_user

DOCKER = ROOT / "docker"
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
_START_SECONDS = 150
_CHECK_SECONDS = 60
# `docker compose exec -T SERVICE COMMAND`; what `up` does is done.
_DOCKER = '#!/bin/sh\n[ "$2" = up ] && exit\n[ "$2 $3" = "exec -T" ] && shift 4 && exec "$@"\n'


def compose(file: str = "compose.yaml", **variables: str) -> dict[str, Any]:
    """A compose file with its variables filled in; those that are not given have their defaults."""
    text = (DOCKER / file).read_text(encoding="utf-8")
    filled = _VARIABLE.sub(lambda found: variables.get(found[1], found[2]), text)
    loaded: dict[str, Any] = yaml.safe_load(filled)
    return loaded


def services_with_cards() -> dict[str, Any]:
    """What compose makes of compose.yaml and compose.cuda.yaml: of a key that both have, mappings
    become one, and of all else the latter's stands.
    """
    found: dict[str, Any] = compose()["services"]
    for name, service in compose("compose.cuda.yaml")["services"].items():
        before = found.get(name, {})
        found[name] = before | {
            key: {**before.get(key, {}), **value} if isinstance(value, dict) else value
            for key, value in service.items()
        }
    return found


def instructions(file: str, target: str | None = None) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile's last stage, or of the stage of that name."""
    text = (DOCKER / file).read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    stages: dict[str | None, list[tuple[str, str]]] = {}
    stage: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, lines)):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stage = stages[rest.partition(" AS ")[2] or None] = []
            stages[None] = stage
        stage.append((word, " ".join(rest.split())))
    return stages[target]


def image_environment(target: str) -> dict[str, str]:
    """What ENV sets, without the PATH of the image."""
    found = instructions("Dockerfile", target)
    words = [word for name, rest in found if name == "ENV" for word in shlex.split(rest)]
    return {name: value for name, _, value in (word.partition("=") for word in words)} | {
        "PATH": ""
    }


@dataclass
class Stack:
    """The services of a compose file, as far as they have come."""

    folder: Path
    services: Mapping[str, Any]
    ports: dict[str, int]
    mariadb: MariaDB
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    healthy: set[str] = field(default_factory=set)

    def here(self, text: str) -> str:
        """What a text of the containers means on this machine."""
        text = text.replace("deepcredit@sftp", f"{current_user()}@sftp")
        text = re.sub(r"\b(mariadb|sftp|scheduler)(?=\]?:\d)", "127.0.0.1", text)
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        return re.sub(r"(?<![A-Za-z._-])/(run|srv|var|etc)/", rf"{self.folder}/\1/", text)

    def environment(self, name: str) -> dict[str, str]:
        given = image_environment("cpu") | self.services[name].get("environment", {})
        mapped = {key: self.here(value) for key, value in given.items()}
        path = f"{self.folder}/bin{os.pathsep}{Path(sys.executable).parent}"
        return mapped | {
            "PATH": f"{path}{os.pathsep}{os.environ['PATH']}:/usr/sbin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
        }

    def check(self, name: str) -> int:
        """Run a health check once."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD", "not the exec form"
        return subprocess.run(
            [self.here(word) for word in command],
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            timeout=_CHECK_SECONDS,
            check=False,
        ).returncode

    def start(self, name: str) -> None:
        if name == "mariadb":
            return
        command = [self.here(word) for word in self.services[name]["command"]]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment(name), cwd=self.folder, stdout=log, stderr=log
            )

    def shell(self, script: str) -> str:
        """What a person's script prints, who has the variable BACKUP."""
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{self.here(script)}"],
            env=self.environment("launcher") | {"BACKUP": str(self.folder / "backup")},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stored(self) -> dict[str, int]:
        """The files of the model store with their sizes."""
        root = self.folder / "srv" / "store"
        files = [path for path in root.rglob("*") if path.is_file()]
        return {str(path.relative_to(root)): path.stat().st_size for path in files}

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def up(self) -> list[str]:
        """Start every service once its conditions hold, as compose does; returns the order."""
        deadline = time.monotonic() + _START_SECONDS
        started: list[str] = []
        while len(started) < len(self.services):
            for name, service in self.services.items():
                if name not in started and self._may_start(service.get("depends_on", {}), started):
                    self.start(name)
                    started.append(name)
            assert time.monotonic() < deadline, f"started {started}\n{self.logs()}"
            time.sleep(0.5)  # each look at a service is a process
        return started

    def logs(self) -> str:
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(
            f"{file.name}: {file.read_text(errors='replace')[-3000:]}" for file in files
        )

    def _may_start(self, conditions: Mapping[str, Any], started: list[str]) -> bool:
        return all(
            name in started and self._holds(name, needed["condition"])
            for name, needed in conditions.items()
        )

    def _holds(self, name: str, condition: str) -> bool:
        if condition == "service_completed_successfully":
            code = self.processes[name].poll()
            assert code in (None, 0), self.logs()
            return code == 0
        assert condition == "service_healthy"
        if name not in self.healthy and self.check(name) == 0:
            self.healthy.add(name)
        return name in self.healthy


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """MariaDB runs, by its own fixture with the options of the compose file: its image brings the
    entry point. All else waits for up()."""
    services = compose()["services"]
    options = [*NOT_DURABLE, *services["mariadb"]["command"]]
    with ExitStack() as exit_stack:
        mariadb = exit_stack.enter_context(running_mariadb(folder / "mariadb", options))
        mariadb.client("CREATE DATABASE deepcredit")
        ports = {port: free_port() for port in ("2222", "8786", "8787", "8788")}
        made = Stack(folder, services, ports | {"3306": mariadb.port}, mariadb)
        _fill(made)
        exit_stack.callback(_end, made)
        yield made


def _fill(made: Stack) -> None:
    """The files that images and mounts would bring."""
    secrets = made.folder / "run" / "secrets"
    subprocess.run([DOCKER / "make-secrets", secrets], check=True, capture_output=True)
    known_hosts = secrets / "sftp_known_hosts"
    known_hosts.write_text(made.here(known_hosts.read_text()))
    (secrets / "database_password").write_text(PASSWORD + "\n")
    for name in ("etc/ssh", "srv/store", "var/cache/deepcredit", "var/log/deepcredit", "bin"):
        (made.folder / name).mkdir(parents=True)
    config = made.here((DOCKER / "sshd_config").read_text())
    (made.folder / "etc" / "ssh" / "sshd_store_config").write_text(config)
    command = made.folder / "bin" / "deepcredit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m launcher "$@"\n')
    command.chmod(0o755)
    docker = made.folder / "bin" / "docker"
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    (made.folder / ".my.cnf").write_text(
        f"[client]\nhost=127.0.0.1\nport={made.mariadb.port}\nprotocol=tcp\n"
    )


def _end(made: Stack) -> None:
    for process in made.processes.values():
        if process.poll() is None:
            end(process.pid)
        process.wait()
