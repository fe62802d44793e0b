"""An SSH server that takes a password, which a private sshd cannot: it may not read the system's.

SSH is paramiko's; files are served by OpenSSH's own sftp-server, one process a session.
"""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko

from tests.sshd import HOST, SshdMissing, SshServer, current_user, make_key, trust


class _Server(paramiko.ServerInterface):
    def __init__(self, password: str, speaking: threading.Event) -> None:
        self._password = password
        self._speaking = speaking

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        if (username, password) == (current_user(), self._password):
            return int(paramiko.common.AUTH_SUCCESSFUL)
        return int(paramiko.common.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.common.OPEN_SUCCEEDED)

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self._speaking.wait()
        return super().check_channel_subsystem_request(channel, name)


class _Subsystem(paramiko.SubsystemHandler):
    """Passes bytes between the channel and an sftp-server."""

    def start_subsystem(self, name: str, transport: Any, channel: paramiko.Channel) -> None:
        process = subprocess.Popen([_binary()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            answers = threading.Thread(target=_forward, args=(process.stdout, channel))
            answers.start()
            while data := channel.recv(1 << 16):
                process.stdin.write(data)
                process.stdin.flush()
            process.stdin.close()
            answers.join()


@contextmanager
def running_password_server(
    folder: Path, password: str, *, speaking: threading.Event | None = None
) -> Iterator[SshServer]:
    """For the current user with this password; keys are not taken. Until `speaking` is set it
    hangs when it is asked for SFTP.

    Raises:
        SshdMissing: OpenSSH's sftp-server is not installed.
    """
    (folder / "files").mkdir(parents=True)
    key = paramiko.PKey.from_path(make_key(folder / "host_key"))
    _binary()
    if speaking is None:
        speaking = threading.Event()
        speaking.set()
    transports: list[paramiko.Transport] = []
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", _Subsystem)
                transport.start_server(server=_Server(password, speaking), event=threading.Event())

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield SshServer(
                host=HOST,
                port=port,
                user=current_user(),
                key_file=folder / "none",
                known_hosts=trust(folder / "known_hosts", port, folder / "host_key.pub"),
                host_key=folder / "host_key.pub",
                root=folder / "files",
                pid=0,
            )
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for transport in transports:
                transport.close()


def _binary() -> str:
    folders = ("/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec", "/usr/lib/ssh")
    found = shutil.which("sftp-server", path=":".join(folders))
    if found is None:
        raise SshdMissing
    return found


def _forward(stream: Any, channel: paramiko.Channel) -> None:
    while data := stream.read1(1 << 16):
        channel.sendall(data)
