"""Processes of which a folder keeps a record: started, known again by another process, and ended.

A process is known by a random token in its environment, which its children inherit, besides its
pid and start time: nothing else is ever signalled, whatever has come to use an old pid.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from launcher.host import processes, python
from launcher.host.keep import LOG
from launcher.host.private import write_private
from launcher.host.processes import boot_id, started_at

Record = Mapping[str, Any]

TOKEN = "CLUSTER_PROCESS_TOKEN"  # noqa: S105 - the name of a variable
_POLITE_SECONDS = 8.0
_KILLED_SECONDS = 5.0
_LOOK_SECONDS = 0.05


def begin(folder: Path, name: str, words: Sequence[str], settings: dict[str, str]) -> None:
    """Run Python with these words; `settings` are variables of its environment. Raises OSError."""
    token = uuid4().hex
    file = _file(folder, name)
    # Written before it starts too: a process that runs is always in a file, whoever dies when.
    log = log_of(folder, name)
    log.touch()
    record: dict[str, Any] = {
        "name": name,
        "words": words,
        "token": token,
        "boot": boot_id(),
        "log_from": log.stat().st_size,
    }
    write_private(file, json.dumps(record))
    # A library that renames processes must leave their environment readable.
    ours = {TOKEN: token, LOG: str(log), "SPT_NOENV": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=python.environment() | settings | ours,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    record |= {"pid": process.pid, "started": started_at(process.pid)}
    write_private(file, json.dumps(record))


def log_of(folder: Path, name: str) -> Path:
    return folder.absolute() / "logs" / f"{name}.log"


def read(folder: Path) -> Iterator[Record]:
    """The records, whether their processes run or not."""
    for file in sorted(folder.glob("*.pid")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(
                f"{file} is damaged; end what the cluster may yet run there (ps -ef | grep "
                "launcher.host.keep), then delete this file"
            ) from None
        yield record


def family(record: Record) -> list[int]:
    """The process and all that it started, as far as they live."""
    return processes.family(_marker(record)) if record["boot"] == boot_id() else []


def leads(record: Record) -> bool:
    """Whether the very process that was started still runs."""
    same = record["boot"] == boot_id() and record.get("pid") is not None
    return same and started_at(record["pid"]) == record["started"] is not None


def end(folder: Path, records: Sequence[Record]) -> set[str]:
    """SIGTERM, then SIGKILL to all that is left, at once where nobody would tell the others to end.
    The names of those that do not end, whose records are kept.
    """
    led = [record for record in records if leads(record)]
    for record in led:
        processes.kill(record["pid"], signal.SIGTERM, _marker(record))
    _gone(led, _POLITE_SECONDS)
    left = [record for record in records if family(record)]
    for record in left:
        for pid in family(record):
            processes.kill(pid, signal.SIGKILL, _marker(record))
    stuck = {record["name"] for record in _gone(left, _KILLED_SECONDS)}
    for record in records:
        if record["name"] not in stuck:
            _file(folder, record["name"]).unlink(missing_ok=True)
    return stuck


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.pid"


def _marker(record: Record) -> bytes:
    return f"{TOKEN}={record['token']}".encode()


def _gone(records: Sequence[Record], seconds: float) -> list[Record]:
    """The records that still have processes after so many seconds."""
    deadline = time.monotonic() + seconds
    while left := [record for record in records if family(record)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    return left
