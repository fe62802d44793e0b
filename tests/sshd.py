"""A private OpenSSH server in a folder, for tests and benchmarks. Needs sshd, no network."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.ports import free_port
from tests.programs import program

HOST = "127.0.0.1"
# OpenSSH's own choice, which resists quantum computers, takes a client a tenth of a second.
QUICK_KEY_EXCHANGE = "curve25519-sha256"
_START_SECONDS = 15


class SshdMissing(Exception):
    """sshd is not installed; on Debian: apt-get install openssh-server"""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, kw_only=True)
class SshServer:
    """A running server. Everything below `root` may be written; paths in URLs are absolute."""

    host: str
    port: int
    user: str
    key_file: Path
    known_hosts: Path
    host_key: Path
    """The public one."""
    root: Path
    pid: int

    def url(self, folder: str = "") -> str:
        return f"sftp://{self.user}@{self.host}:{self.port}{self.root}/{folder}".rstrip("/")

    def settings(self, folder: str = "") -> dict[str, Any]:
        """Overrides for configs.settings.load."""
        return {
            "store_url": self.url(folder),
            "sftp_key_file": self.key_file,
            "sftp_known_hosts": self.known_hosts,
        }


@contextmanager
def running_sshd(
    folder: Path,
    *,
    port: int | None = None,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[SshServer]:
    """Start a server whose keys, configuration and files live in `folder`; stop it at the end.

    A second call with the same folder keeps the keys, so that with `port` it is the same server
    started again. `options` are further lines of sshd_config; `environment` is that of commands.

    Raises:
        SshdMissing: it is not installed.
    """
    if program("sshd") is None:
        raise SshdMissing
    folder = folder.resolve()
    (folder / "files").mkdir(parents=True, exist_ok=True)
    make_key(folder / "host_key")
    make_key(folder / "user_key")
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    process, chosen = _start(
        folder, port, {"SetEnv": set_env(environment or {})} | dict(options or {})
    )
    known_hosts = folder / "known_hosts"
    trust(known_hosts, chosen, folder / "host_key.pub")
    try:
        yield SshServer(
            host=HOST,
            port=chosen,
            user=current_user(),
            key_file=folder / "user_key",
            known_hosts=known_hosts,
            host_key=folder / "host_key.pub",
            root=folder / "files",
            pid=process.pid,
        )
    finally:
        _stop(process)


def make_key(file: Path, passphrase: str = "") -> Path:
    """An Ed25519 key, unless it is already there."""
    if not file.exists():
        what = ["-t", "ed25519", "-a", "1", "-N", passphrase, "-C", "test", "-f", str(file)]
        subprocess.run(["ssh-keygen", "-q", *what], check=True)
    return file


def trust(known_hosts: Path, port: int, public_key: Path) -> Path:
    """Write a known_hosts file that knows this key, and no other, at this port."""
    kind, key, *_ = public_key.read_text().split()
    known_hosts.write_text(f"[{HOST}]:{port} {kind} {key}\n")
    return known_hosts


def set_env(environment: Mapping[str, str]) -> str:
    """A value of sshd's SetEnv. At this level bash reads no start-up file of whoever runs tests."""
    return " ".join(f"{name}={value}" for name, value in {"SHLVL": "1", **environment}.items())


def current_user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name  # the environment may say otherwise


def drop_connections(server: SshServer) -> int:
    """Kill the server's connections, not the server; returns how many processes there were."""
    children = psutil.Process(server.pid).children(recursive=True)
    for child in children:
        _kill(child)
    return len(children)


def _start(
    folder: Path, port: int | None, options: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root insists on it
    for _ in range(5):
        chosen = port or free_port()
        config = _configure(folder, chosen, options)
        log = folder / "sshd.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [str(program("sshd")), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        if _answers(process, chosen):
            return process, chosen
        _stop(process)
    raise RuntimeError(f"sshd did not start; its log ends: {log.read_text()[-2000:]}")


def _configure(folder: Path, port: int, options: Mapping[str, str]) -> Path:
    lines = {
        "Port": str(port),
        "ListenAddress": HOST,
        "HostKey": f'"{folder}/host_key"',
        "PidFile": "none",
        "AuthorizedKeysFile": f'"{folder}/authorized_keys"',
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "yes",
        "KbdInteractiveAuthentication": "no",
        "MaxStartups": "200",
        "LogLevel": "ERROR",
        "Subsystem": "sftp internal-sftp",
        **options,
    }
    config = folder / "sshd_config"
    config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    # Newer servers lock out an address after a few refusals, which these tests provoke.
    penalties = ["-o", "PerSourcePenalties=no"]
    test = subprocess.run(
        [str(program("sshd")), "-t", "-f", str(config), *penalties],
        capture_output=True,
        check=False,
    )
    if test.returncode == 0:
        config.write_text(config.read_text() + "PerSourcePenalties no\n")
    return config


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            time.sleep(0.01)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        # Sessions outlive the listening process: they are its children, not its group.
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    process.wait()
    for child in children:
        _kill(child)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
