"""What keeps a waiting batch from being claimed, in words that say what to do."""

import json
from collections.abc import Sequence
from shlex import quote
from typing import assert_never

from configs.errors import ClusterAway, LoginRefused, StartFailed
from configs.meant import meant, nearest
from storage.health import Wanted
from storage.left import Left
from storage.records import Server

CANNOT_BEGIN = {
    ClusterAway.__name__: "the Dask cluster cannot be used; `deepcredit doctor` examines it",
    StartFailed.__name__: (
        "this host cannot start the process that runs a batch; the log of its launcher says why"
    ),
    LoginRefused.__name__: (
        "the database refuses new logins; if the account's password was changed, start the "
        "launcher again with the new one"
    ),
}
"""What keeps every batch from beginning, by the class of its error."""


def kept_back(wanted: Wanted, alive: Sequence[Server], shut: Sequence[str]) -> str | None:
    """What keeps such batches from ever being claimed, and what to do; None: nothing does."""
    queue, tag = wanted.queue, wanted.need_tag
    if queue in shut:
        return f"queue {queue} is paused; `deepcredit queue resume {quote(queue)}`"
    start = "start one with `deepcredit launcher SERVER_ID"
    if queue != "default":
        start += f" --queue {quote(queue)}"
    if tag is not None:
        start += f" --tag {quote(tag)}"
    serving = [server for server in alive if queue in queues_of(server)]
    if not serving:
        missing = f"no launcher {f'serves queue {queue}' if alive else 'runs'}"
        return f"{missing}; {_moved(queue, alive)}{start}`"
    fit = [server for server in serving if tag is None or tag in tags_of(server)]
    if tag is not None and not fit:
        return f"no launcher of queue {queue} has tag {tag}; {start}`"
    if all(server.paused for server in fit):
        names = [server.serve_server_id for server in fit]
        return (
            f"every launcher for it is paused ({', '.join(names)}); "
            f"`deepcredit server resume {quote(names[0])}`"
        )
    return None


def unserved(queue: str, alive: Sequence[Server]) -> str | None:
    """What to say to somebody who names a queue; None: it is served, or nobody is at work."""
    served = _served(alive)
    if not alive or queue in served:
        return None
    return f"no launcher serves queue {queue}; {meant(queue, served)}served: {', '.join(served)}"


def _moved(queue: str, alive: Sequence[Server]) -> str:
    """For a name that was mistyped; empty if none is like it."""
    near = nearest(queue, _served(alive) or ["default"])
    if near is None or near == queue:
        return ""
    change = f"SET queue = {_sql(near)} WHERE queue = {_sql(queue)}"
    return f"did you mean {near}? then `UPDATE dc_batch {change}`; if not, "


def _served(alive: Sequence[Server]) -> list[str]:
    return sorted({queue for server in alive for queue in queues_of(server)})


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def why_left(left: Left, server_id: str, absent: str | None) -> str | None:
    """Why the launcher of this server leaves these batches waiting; `absent`: why it runs none at
    all. None: they have come just now.
    """
    name, first = quote(left.name or ""), left.batch_id
    match left.reason:
        case "queue":
            why, then = f"queue {left.name} is not served here", f"--queue {name} would"
        case "paused queue":
            why, then = f"queue {left.name} is paused", f"`deepcredit queue resume {name}`"
        case "paused server":
            why, then = "this server is paused", f"`deepcredit server resume {quote(server_id)}`"
        case "tag":
            why, then = f"this launcher lacks tag {left.name}", f"--tag {name} gives it"
        case "memory":
            why = "they need more memory (need_mem_mb) than is free here"
            then = f"`deepcredit batch show {first}` says how much"
        case "time":
            why = f"their time (run_after) is to come, the earliest at {left.run_after:%F %T} UTC"
            then = f"`deepcredit batch retry {first}` lets batch {first} run at once"
        case "batch":
            why = "they wait for other batches"
            then = "`deepcredit batch list` says for which"
        case None:
            return absent
        case never:
            assert_never(never)
    return f"{why}; {then}"


def queues_of(server: Server) -> list[str]:
    return list(json.loads(server.queues or '["default"]'))


def tags_of(server: Server) -> list[str]:
    return list(json.loads(server.tags or "[]"))
