"""Processes that were started earlier, and by another process: found again without mistaking one
for another. Linux only.
"""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """A name of the time since this machine was last switched on."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def started_at(pid: int) -> int | None:
    """When it began, in clock ticks since the machine did; None if it is dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # names of programs may have spaces
    return None if state in "ZX" else int(fields[18])


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory: all, and without pages of files, which processes share."""

    resident: int
    own: int


def memory(pid: int) -> Memory:
    """What a process has; nothing if it is dead."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return Memory(0, 0)
    resident, shared = (int(each) * os.sysconf("SC_PAGE_SIZE") for each in pages[1:3])
    return Memory(resident, resident - shared)


def has_run(pid: int) -> str:
    """What changes whenever the first thread of a process runs; "" where that is not told."""
    try:
        return Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
    except OSError:
        return ""


def how_it_ended(code: int) -> str:
    """In words, from an exit code as subprocess gives it: below 0 it is the number of a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    said = f"was killed by {_signal_name(-code)}"
    if code == -signal.SIGKILL:
        said += "; if nobody killed it, the host ran out of memory: see its kernel log"
    return said


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def is_dead(pid: int) -> bool:
    """Whether no living process has this number, also where /proc hides those of other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started_at(pid) is None


def was_told(pid: int, word: str) -> bool:
    """Whether a living process has this word in its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return word.encode() in words  # the dead have none


def family(marker: bytes) -> list[int]:
    """Living processes with this entry, NAME=VALUE, in the environment they were started with,
    which dead ones no longer have.
    """
    numbers = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
    return [pid for pid in numbers if _carries(pid, marker)]


def kill(pid: int, number: signal.Signals, marker: bytes) -> None:
    """Signal a process if it carries the marker; it cannot turn into another one meanwhile."""
    with suppress(ProcessLookupError):
        held = os.pidfd_open(pid)
        try:
            if _carries(pid, marker):
                signal.pidfd_send_signal(held, number)
        finally:
            os.close(held)


def _carries(pid: int, marker: bytes) -> bool:
    try:
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # dead, or another user's
        return False
