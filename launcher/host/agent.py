"""What `deepcredit cluster` runs on a host over SSH: a request as JSON on stdin, an answer as a
line of JSON on stdout. It starts and ends processes, and imports no Dask itself.
"""

import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from configs.errors import BadSetting
from launcher.host import recorded
from launcher.host.addresses import check_free, of_interface
from launcher.host.keep import workers_of
from launcher.host.last_words import last_words
from launcher.host.machine import cards, cores, memory_mb
from launcher.host.private import everybody_may_use, write_private
from launcher.host.processes import boot_id
from launcher.host.versions import versions

_WANTED = "wanted"
_TAIL_BYTES = 100_000
_OF_THE_PATH = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS)


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
    if isinstance(error, OSError) and error.errno in _OF_THE_PATH:
        return (
            f"{error.filename}: {error.strerror}; correct the path in the table [cluster], or let "
            "this host's account use it"
        )
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
    `files`, and `unkept`: it runs, but what kept it is dead; both are left alone. `scaled`: only
    what was wanted just now, unless a `stop` has come in between, which takes the scheduler away:
    then they are `stopped`.
    """
    folder = _folder(request)
    with _locked(folder):
        if request.get("scaled") and _wanted(folder) is None:
            return _all(request, "stopped")
        settings = _read_settings(request["env_file"])
        changed = {
            name: text for name, text in request["files"].items() if _is_new(folder / name, text)
        }
        if changed and any(recorded.family(record) for record in recorded.read(folder)):
            # They have read theirs, and those that start later would be strangers to them.
            return _all(request, "different")
        for name, text in changed.items():
            write_private(folder / name, text)
        return [_start(folder, wanted, settings) for wanted in request["processes"]]


def look(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was started, where its log is, whether it runs, and if it does not, why."""
    folder = _folder(request)
    found = []
    for record in recorded.read(folder):
        alive = recorded.leads(record)
        log = recorded.log_of(folder, record["name"])
        why = "" if alive else last_words(_end_of(log, record.get("log_from", 0)))
        found.append({"name": record["name"], "alive": alive, "why": why, "log": str(log)})
    return found


def stop(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """End what start started, `but` some: SIGTERM, then SIGKILL to all that is left of it."""
    folder = _folder(request)
    with _locked(folder):
        spared = request.get("but", ())
        records = [each for each in recorded.read(folder) if each["name"] not in spared]
        running = [record["name"] for record in records if recorded.family(record)]
        stuck = recorded.end(folder, records)
        (folder / _WANTED).unlink(missing_ok=True)
        return [
            {"name": name, "state": "does not end" if name in stuck else "stopped"}
            for name in running
        ]


def want(request: Mapping[str, Any]) -> None:
    """Remember how many workers without a card are wanted, until the next stop."""
    folder = _folder(request)
    with _locked(folder):
        write_private(folder / _WANTED, str(request["workers"]))


_ACTIONS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "facts": facts,
    "start": start,
    "look": look,
    "stop": stop,
    "want": want,
}


def _all(request: Mapping[str, Any], state: str) -> list[dict[str, Any]]:
    names = [wanted["name"] for wanted in request["processes"]]
    return [{"name": name, "state": state, "retired": []} for name in names]


def _start(folder: Path, wanted: Mapping[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    name, words = wanted["name"], [str(word) for word in wanted["words"]]
    before = next((record for record in recorded.read(folder) if record["name"] == name), None)
    if before is not None and recorded.family(before):
        kept = "already runs" if recorded.leads(before) else "unkept"
        state = kept if before["words"] == words else "different"
        return {"name": name, "state": state, "retired": _retired(folder, before)}
    if wanted["listens"]:  # or workers would join whoever listens there, as if it were ours
        check_free(wanted["listens"])
    recorded.begin(folder, name, words, settings)
    return {"name": name, "state": "started", "retired": []}


def _is_new(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def _retired(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Workers of a process that were told to leave it for good (launcher.host.keep)."""
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
        raise ValueError(
            f"{file} is damaged; delete this file, then say again how many workers the host is to "
            "have: `deepcredit cluster scale`"
        ) from None


def _running(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for record in recorded.read(folder):
        if record["name"].startswith("cpu") and recorded.leads(record):
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


def _read_settings(env_file: str) -> dict[str, str]:
    """Lines NAME=VALUE, as a service manager reads them; # begins a comment line."""
    if not env_file:
        return {}
    path = Path(env_file)
    if everybody_may_use(path):
        raise ValueError(f"{path}: everybody may use this file of secrets; chmod 600 it")
    settings = {}
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin it with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {error}; save it in UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{path}: line {number} is not NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        settings[name] = value
    return settings


def _address(interface: str) -> str:
    if interface:
        return of_interface(interface)
    # client address, port, server address, port
    return os.environ["SSH_CONNECTION"].split()[2]


def _end_of(log: Path, begin: int) -> str:
    """What it has from this byte on, or the last of it."""
    with suppress(OSError), log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin if begin <= size else 0, size - _TAIL_BYTES))
        return file.read().decode(errors="replace")
    return ""


if __name__ == "__main__":
    main()
