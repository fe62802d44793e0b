"""What `deepcredit cluster` runs on a host over SSH: a request as JSON on stdin, an answer as a
line of JSON on stdout. It starts and ends processes, and imports no Dask itself.

A process is known by a random token in its environment, which its children inherit, besides its
pid and start time: nothing else is ever signalled, whatever has come to use an old pid.
"""

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from configs.errors import BadSetting
from launcher.addresses import check_free, of_interface
from launcher.child import python_environment
from launcher.host import cards, cores, memory_mb
from launcher.keep import workers_of
from launcher.processes import boot_id, family, kill, started_at
from launcher.versions import versions

TOKEN = "CLUSTER_PROCESS_TOKEN"  # noqa: S105 - the name of a variable
_WANTED = "wanted"
_POLITE_SECONDS = 8.0
_KILLED_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_TAIL_BYTES = 1500


def main() -> None:
    request = json.loads(sys.stdin.read())
    try:
        answer: Any = {"answer": _ACTIONS[request["action"]](request)}
    except (OSError, ValueError, BadSetting) as error:
        answer = {"error": _said(error, request["folder"])}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _said(error: Exception, folder: str) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{folder}: no space left on its disk; free some"
    return str(error)


def facts(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the host has; `gpus`: cards that what is started here may see. `machine` is the same for
    two names of one machine. `wanted`: workers by the last `scale`; `running`: of each process of
    workers without a card, how many were started and how many of them stay.
    """
    folder = Path(request["folder"]).expanduser()
    return {
        "machine": boot_id(),
        "cores": cores(),
        "gpus": len(cards(os.environ | _read_settings(request["env_file"]))),
        "memory_mb": memory_mb(),
        "ip": _address(request["interface"]),
        "versions": versions(),
        "wanted": _wanted(folder),
        "running": _running(folder),
    }


def start(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Start what does not run yet; `different`: it runs with other arguments, or with other
    `files`, and is left alone.
    """
    folder = _folder(request)
    with _locked(folder):
        settings = _read_settings(request["env_file"])
        changed = {
            name: text for name, text in request["files"].items() if _is_new(folder / name, text)
        }
        if changed and any(_family(record) for record in _records(folder)):
            # They have read theirs, and those that start later would be strangers to them.
            names = [wanted["name"] for wanted in request["processes"]]
            return [{"name": name, "state": "different", "retired": []} for name in names]
        for name, text in changed.items():
            _write_private(folder / name, text)
        return [_start(folder, wanted, settings) for wanted in request["processes"]]


def look(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was started, whether it runs, and the end of its log if it does not."""
    folder = _folder(request)
    found = []
    for record in _records(folder):
        alive = _leads(record)
        tail = "" if alive else _tail(folder / "logs" / f"{record['name']}.log")
        found.append({"name": record["name"], "alive": alive, "tail": tail})
    return found


def stop(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """End what start started: SIGTERM, then SIGKILL to all that is left of it."""
    folder = _folder(request)
    with _locked(folder):
        records = list(_records(folder))
        running = [record["name"] for record in records if _family(record)]
        for record in records:
            if _leads(record):
                kill(record["pid"], signal.SIGTERM, _marker(record))
        left = _gone(records, _POLITE_SECONDS)
        for record in left:
            for pid in _family(record):
                kill(pid, signal.SIGKILL, _marker(record))
        left = _gone(left, _KILLED_SECONDS)
        (folder / _WANTED).unlink(missing_ok=True)
        stuck = {record["name"] for record in left}
        for record in records:
            if record["name"] not in stuck:
                (folder / f"{record['name']}.pid").unlink(missing_ok=True)
        return [
            {"name": name, "state": "does not end" if name in stuck else "stopped"}
            for name in running
        ]


def want(request: Mapping[str, Any]) -> None:
    """Remember how many workers without a card are wanted, until the next stop."""
    folder = _folder(request)
    with _locked(folder):
        _write_private(folder / _WANTED, str(request["workers"]))


_ACTIONS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "facts": facts,
    "start": start,
    "look": look,
    "stop": stop,
    "want": want,
}


def _start(folder: Path, wanted: Mapping[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    name, words = wanted["name"], [str(word) for word in wanted["words"]]
    file = folder / f"{name}.pid"
    before = next((record for record in _records(folder) if record["name"] == name), None)
    if before is not None and _family(before):
        same = before["words"] == words and _leads(before)
        state = "already runs" if same else "different"
        return {"name": name, "state": state, "retired": _retired(folder, before)}
    if wanted["listens"]:  # or workers would join whoever listens there, as if it were ours
        check_free(wanted["listens"])
    token = uuid4().hex
    # Written before it starts too: a process that runs is always in a file, whoever dies when.
    record = {"name": name, "words": words, "token": token, "boot": boot_id()}
    _write_private(file, json.dumps(record))
    # A library that renames processes must leave their environment readable.
    ours = {TOKEN: token, "SPT_NOENV": "1"}
    with (folder / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=python_environment() | settings | ours,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record |= {"pid": process.pid, "started": started_at(process.pid)}
    _write_private(file, json.dumps(record))
    return {"name": name, "state": "started", "retired": []}


def _is_new(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def _retired(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Workers of a process that were told to leave it for good (launcher.keep)."""
    with suppress(OSError):
        return (folder / f"retired.{record.get('pid')}").read_text(encoding="utf-8").splitlines()
    return []


def _wanted(folder: Path) -> int | None:
    file = folder / _WANTED
    try:
        return int(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise _damaged(file) from None


def _running(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for record in _records(folder):
        if record["name"].startswith("cpu") and _leads(record):
            started = workers_of(record["words"])
            found[record["name"]] = started, started - len(_retired(folder, record))
    return found


def _folder(request: Mapping[str, Any]) -> Path:
    folder = Path(request["folder"]).expanduser()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.pid")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise _damaged(file) from None
        yield record


def _damaged(file: Path) -> ValueError:
    return ValueError(
        f"{file} is damaged; end what the cluster may yet run there (ps -ef | grep launcher.keep), "
        "then delete this file"
    )


def _marker(record: Mapping[str, Any]) -> bytes:
    return f"{TOKEN}={record['token']}".encode()


def _family(record: Mapping[str, Any]) -> list[int]:
    return family(_marker(record)) if record["boot"] == boot_id() else []


def _leads(record: Mapping[str, Any]) -> bool:
    """Whether the very process that was started still runs."""
    same = record["boot"] == boot_id() and record.get("pid") is not None
    return same and started_at(record["pid"]) == record["started"] is not None


def _gone(records: list[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """Those that still have processes after so long."""
    deadline = time.monotonic() + seconds
    while left := [record for record in records if _family(record)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    return left


def _read_settings(env_file: str) -> dict[str, str]:
    """Lines NAME=VALUE, as a service manager reads them; # begins a comment line."""
    if not env_file:
        return {}
    path = Path(env_file)
    if path.stat().st_mode & stat.S_IRWXO:
        raise ValueError(f"{path}: everybody may use this file of secrets; chmod 600 it")
    settings = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{path}: line {number} is not NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        settings[name] = value
    return settings


def _write_private(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.tmp")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - to be private from the first moment
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or after a power cut the name may stand for nothing
    new.replace(path)


def _address(interface: str) -> str:
    if interface:
        return of_interface(interface)
    # client address, port, server address, port
    return os.environ["SSH_CONNECTION"].split()[2]


def _tail(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-3:])
    return ""


if __name__ == "__main__":
    main()
