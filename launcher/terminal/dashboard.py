"""An overview as tables of 80 columns, and the screen that shows it again and again."""

import os
import select
import sys
import termios
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from configs.errors import DatabaseUnavailable
from launcher.terminal.console import Column, table
from launcher.terminal.durations import in_utc, in_words
from launcher.terminal.lines import harmless
from storage.overview import Failure, Overview, Run
from storage.servers import Server

_SERVERS = (
    Column("server", "server", text=True),
    Column("status", "status", text=True),
    Column("seen", "last seen"),
    Column("busy", "runs"),
    Column("slots", "slots"),
    Column("tags", "tags", prose=True),
    Column("queues", "queues", prose=True),
)
_RUNS = (
    Column("batch_id", "batch"),
    Column("server", "server", text=True),
    Column("mode", "mode", text=True),
    Column("done", "done"),
    Column("for", "for"),
    Column("note", "note", prose=True),
)
_QUEUES = (
    Column("queue", "queue", text=True),
    Column("waiting", "waiting"),
    Column("due", "retries due"),
    Column("later", "retries later"),
    Column("paused", "", text=True),
)
_FAILURES = (
    Column("batch_id", "batch"),
    Column("mode", "mode", text=True),
    Column("ago", "ago"),
    Column("error", "error", prose=True),
)
_NAME = 20  # columns of a server's; a longer one is cut, so that its row stays in one line
_QUEUE = 32  # so that all stands in 80
_ERROR = 160
_FOOT = 2  # lines below the page


def page(
    overview: Overview,
    *,
    database: str,
    width: int,
    late_after: float,
    silent_after: float,
    height: int | None = None,
) -> RenderableType:
    """A server that was not seen for so many seconds is called late, then silent. `height`: of the
    errors only the newest that still fit it are shown.
    """
    stands = partial(_status, late_after=late_after, silent_after=silent_after)
    whole = _page(overview, database, width, stands)
    while height is not None and overview.failures and _lines(whole, width) > height:
        overview = replace(overview, failures=overview.failures[:-1])
        whole = _page(overview, database, width, stands)
    return whole


def _lines(whole: RenderableType, width: int) -> int:
    return len(Console(width=width).render_lines(whole))


def _page(
    overview: Overview, database: str, width: int, stands: Callable[[Server], str]
) -> RenderableType:
    busy = Counter(run.serve_server_id for run in overview.runs)
    status = {each.serve_server_id: stands(each) for each in overview.servers}
    servers = [
        _server(each, busy, _in_full(status[each.serve_server_id], each))
        for each in overview.servers
    ]
    runs = [_run(each, status.get(each.serve_server_id or "")) for each in overview.runs]
    queues = [
        {"queue": _cut(q.queue, _QUEUE), "waiting": q.waiting, "due": q.due, "later": q.later}
        | {"paused": "paused" if q.paused else ""}
        for q in overview.queues
    ]
    parts: list[RenderableType] = [
        Text(f"database {database}\n"),
        table(servers, _SERVERS, width) if servers else Text("no launcher is at work"),
        *(
            Text(harmless(f"{_cut(each.serve_server_id)} takes no batches: {each.takes_none}"))
            for each in overview.servers
            if each.takes_none is not None
        ),
        Text(),
        table(runs, _RUNS, width) if runs else Text("nothing is running"),
        Text(),
        table(queues, _QUEUES, width) if queues else Text("nothing is waiting"),
    ]
    if overview.oldest is not None:
        oldest = overview.oldest
        since = in_words(oldest.seconds)
        parts.append(Text(f"oldest waiting: batch {oldest.batch_id}, for {since}"))
    if overview.failed:
        listed = len(overview.failures)
        newest = f", the newest {listed}:" if 0 < listed < overview.failed else ""
        parts.append(Text(f"\nfailed for good in the last day: {overview.failed}{newest}"))
    if overview.failures:
        parts.append(table([*map(_failure, overview.failures)], _FAILURES, width))
    return Group(*parts)


def watch(
    draw: Callable[[int, int], RenderableType], console: Console, *, every: float, keys: bool
) -> None:
    """Show what `draw` gives for the terminal's width and height, until q or Ctrl-C.

    A database that does not answer is said and asked again. `keys`: whether stdin is a terminal.
    """
    last: RenderableType = Text()
    with _pressed(keys) as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                last = draw(console.width, console.height - _FOOT)
                words = f"\n{in_utc(datetime.now(UTC))}, every {every:g} s; q ends"
            except DatabaseUnavailable as error:
                words = f"\n{error}; trying on; q ends"
            live.update(Group(last, Text(harmless(words))), refresh=True)
            if pressed(every):
                return


@contextmanager
def _pressed(keys: bool) -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds, and tells whether q was pressed meanwhile."""
    if not keys:
        yield _sleep
        return
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    tty.setcbreak(stdin)
    try:
        yield _wait_for_q
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _wait_for_q(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            # Not sys.stdin.read, whose buffer select does not see.
            keys = os.read(sys.stdin.fileno(), 64)
            if not keys or b"q" in keys.lower():  # nothing: the terminal has gone
                return True
    return False


def _server(seen: Server, busy: Counter[str | None], status: str) -> dict[str, object]:
    return {
        "server": _cut(seen.serve_server_id),
        "status": status,
        "seen": None if seen.silent is None else f"{in_words(seen.silent)} ago",
        "busy": busy[seen.serve_server_id],
        "slots": seen.slots,
        "tags": ", ".join(seen.tags) or None,
        "queues": ", ".join(seen.queues) or None,
    }


def _status(seen: Server, *, late_after: float, silent_after: float) -> str:
    if seen.identity is None:
        return "stopped"
    if seen.silent is None or seen.silent > silent_after:
        return "silent"
    return "late" if seen.silent > late_after else "up"


def _in_full(status: str, seen: Server) -> str:
    """What it is beside up goes without saying that it is up."""
    kept = "paused" if seen.paused else "takes none" if seen.takes_none is not None else ""
    return ", ".join(filter(None, ("" if kept and status == "up" else status, kept)))


def _run(run: Run, server: str | None) -> dict[str, object]:
    """`server`: how the one that runs it stands."""
    note = run.progress_note or run.batch_desc
    if run.cancelling:
        note = "is being cancelled"
    elif run.unclaimed:
        note = "no launcher has claimed it: U was set by hand"
    elif run.overdue:
        note = "not heard of: its lease has ended"
    elif server in ("late", "silent"):
        note = f"its launcher is {server}; may be dead"
    return {
        "batch_id": run.batch_id,
        "server": _cut(run.serve_server_id or "-"),
        "mode": run.mode,
        "done": None if run.progress is None else f"{run.progress:.0%}",
        "for": in_words(run.seconds),
        "note": note,
    }


def _failure(failure: Failure) -> dict[str, object]:
    lines = (failure.error_text or "").strip().splitlines()
    return {
        "batch_id": failure.batch_id,
        "mode": failure.mode,
        "ago": in_words(failure.seconds),
        "error": _cut(f"{failure.error_class or '-'}: {lines[0] if lines else 'no text'}", _ERROR),
    }


def _cut(text: str, length: int = _NAME) -> str:
    short = Text(text)
    short.truncate(length, overflow="ellipsis")
    return short.plain
