"""Who runs `deepcredit cluster`, with a server of their own that stands for several hosts."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.bank import environment
from tests.commands import deepcredit
from tests.ports import free_port
from tests.sshd import SshServer


class Administrator:
    """Has a deepcredit.toml of two hosts."""

    def __init__(self, folder: Path, sshd: SshServer) -> None:
        self.folder, self.sshd = folder, sshd
        self.port, self.dashboard = free_port(), free_port()
        self.env = environment(folder)
        self.secrets = folder / "worker.env"
        self.secrets.write_text("# of the host\nDEEPCREDIT_SFTP_PASSWORD='of the host'\n")
        self.secrets.chmod(0o600)
        self.write()

    def write(self, hosts: list[dict[str, Any]] | None = None, **more: Any) -> None:
        hosts = hosts or [{"name": "one", "tags": ["first"]}, {"name": "two"}]
        shared = {
            "user": self.sshd.user,
            "key_file": str(self.sshd.key_file),
            "known_hosts": str(self.sshd.known_hosts),
            "port": self.sshd.port,
            "python": sys.executable,
            "folder": str(self.folder / "hosts"),
            "env_file": str(self.secrets),
            "workers": 1,
            "scheduler_port": self.port,
            "dashboard_port": self.dashboard,
            "start_seconds": 90,
            **more,
        }
        lines = ["[cluster]", *(f"{k} = {json.dumps(v)}" for k, v in shared.items())]
        for host in hosts:
            table = {"address": "127.0.0.1", **host}
            lines += ["[[cluster.hosts]]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
        (self.folder / "deepcredit.toml").write_text("\n".join(lines))

    def cluster(self, *words: str, code: int = 0) -> str:
        """What `deepcredit cluster WORDS` says, on stdout first."""
        found, out, err = deepcredit(self.folder, self.env, "cluster", *words)
        assert found == code, err
        return out + err

    def workers(self) -> dict[str, str]:
        """Their states, by name."""
        shown, _ = json.JSONDecoder().raw_decode(self.cluster("status", "--format", "json"))
        return {each["worker"]: each["state"] for each in shown}

    def records(self) -> list[dict[str, Any]]:
        """Of processes that were started and not ended."""
        files = sorted((self.folder / "hosts").glob("*/*.pid"))
        return [json.loads(file.read_text()) for file in files]

    def log(self, host: str, process: str) -> Path:
        return self.folder / "hosts" / host / "logs" / f"{process}.log"
