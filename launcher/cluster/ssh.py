"""Asking hosts over SSH, with OpenSSH's client: keys only, and only hosts whose key is known."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from configs.cluster import Host
from configs.errors import ClusterUnavailable
from configs.settings import without_ours

T = TypeVar("T")

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60.0
_SSH_FAILED, _NO_SUCH_PROGRAM = 255, 127
# Options of the command line are stronger than those of ssh_config.
_STRICT = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    # Nothing else than the file that `known_hosts` names tells of a key.
    "GlobalKnownHostsFile": "/dev/null",
    "VerifyHostKeyDNS": "no",
    "NoHostAuthenticationForLocalhost": "no",
    # OpenSSH before 8.5 does not know the next one. Only the first list counts, and a user's own
    # names others.
    "IgnoreUnknown": "*",
    "KnownHostsCommand": "none",
    "UpdateHostKeys": "no",
    "PreferredAuthentications": "publickey",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "ControlPath": "none",  # a connection that is there already was made with weaker ones
    "ConnectTimeout": str(_CONNECT_SECONDS),
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}


def command(host: Host, known_hosts: Path) -> list[str]:
    """The command line that runs our agent on a host."""
    options = _STRICT | {"UserKnownHostsFile": f'"{known_hosts}"'}
    words = ["ssh", "-T", "-p", str(host.port)]
    if host.user:
        words += ["-l", host.user]
    if host.key_file:
        words += ["-i", str(host.key_file)]
        options["IdentitiesOnly"] = "yes"
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    agent = [host.python or sys.executable, "-P", "-m", "launcher.host.agent"]
    return [*words, "--", host.address, shlex.join(agent)]


def ask(host: Host, known_hosts: Path, request: Mapping[str, Any]) -> Any:
    """Let the agent of a host do something; what it must know goes to its stdin alone.

    Raises:
        ClusterUnavailable: it cannot be reached, or cannot do it.
    """
    body = {"folder": f"{host.folder}/{host.name}", **request}
    if host.key_file:  # without it ssh goes on, and says only in passing why
        _check_key(host.name, host.key_file)
    try:
        done = subprocess.run(
            command(host, known_hosts),
            input=json.dumps(body),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
            env=without_ours(os.environ),  # which `SendEnv` of a user's ssh_config may send
        )
    except FileNotFoundError:
        raise ClusterUnavailable("there is no `ssh` here; install OpenSSH's client") from None
    except subprocess.TimeoutExpired:
        raise ClusterUnavailable(f"{host.name}: no answer within {_ANSWER_SECONDS:.0f} s") from None
    if done.returncode:
        raise ClusterUnavailable(f"{host.name}: {_why(host, done, known_hosts)}")
    answer = _answer(done.stdout)
    if answer is None:
        said = (done.stdout.splitlines() or ["nothing"])[-1]
        raise ClusterUnavailable(f"{host.name}: what it said is no answer of our agent: {said!r}")
    if "error" in answer:
        raise ClusterUnavailable(f"{host.name}: {answer['error']}")
    return answer["answer"]


def ask_all(
    hosts: Iterable[Host], question: Callable[[Host], T]
) -> tuple[dict[str, T], dict[str, str]]:
    """Ask all at once: answers, and lines that say what went wrong, both by the host's name."""
    asked = list(hosts)
    answers: dict[str, T] = {}
    errors: dict[str, str] = {}
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        futures = {host.name: pool.submit(question, host) for host in asked}
    for name, future in futures.items():
        error = future.exception()
        if error is None:
            answers[name] = future.result()
        elif isinstance(error, ClusterUnavailable):
            errors[name] = str(error)
        else:
            raise error
    return answers, errors


def together(errors: Mapping[str, str]) -> str:
    """One line of what `ask_all` says went wrong: hosts with the same words share them."""
    hosts: dict[str, list[str]] = {}
    for name, error in errors.items():
        hosts.setdefault(error.removeprefix(f"{name}: "), []).append(name)
    return "; ".join(
        said if errors[names[0]] == said else f"{', '.join(names)}: {said}"
        for said, names in hosts.items()
    )


def _check_key(host: str, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ClusterUnavailable(
            f"{host}: key_file {file}: {error.strerror}; correct the path in the table [cluster], "
            "or let this account read it"
        ) from error


def _answer(said: str) -> dict[str, Any] | None:
    """The agent's line: a login shell may greet before it and take its leave behind."""
    for line in reversed(said.splitlines()):
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.keys() & {"answer", "error"}:
                return found
    return None


def _why(host: Host, done: subprocess.CompletedProcess[str], known_hosts: Path) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = lines[-1] if lines else f"exit code {done.returncode}"
    if done.returncode == _SSH_FAILED:
        where = f"{host.address} port {host.port}"
        if "verification failed" in done.stderr.lower():
            return (
                f"the host key of {where} is unknown or not the one in {known_hosts}; ask its "
                "administrator for its fingerprint, and add the key only if it is the same"
            )
        if "permission denied" in said.lower():
            # What kept ssh from a key stands before: it goes on without that key.
            refused = " ".join(lines).rstrip(".")
            return f"{where} refuses our key: {refused}; check user and key_file"
        # ssh says the place, too.
        what = said.removeprefix(f"ssh: connect to host {host.address} port {host.port}: ")
        return f"cannot reach {where}: {what.removeprefix('ssh: ')}"
    python = host.python or sys.executable
    if any(line.lower() == "unknown option: -p" for line in lines):
        return f"{python} is older than Python 3.11; install the same version everywhere"
    # The latter: DeepCredit of a version in which launcher.host was one module.
    missing = "No module named" in said or "finding module specification" in said
    if done.returncode == _NO_SUCH_PROGRAM or missing:
        which = f"{python} with DeepCredit of the version here"
        return f"{which} is not there ({said}); install it or set `python`"
    return said
