"""What keeps a waiting batch from ever being claimed by the launchers there are."""

import json
from collections.abc import Sequence
from shlex import quote

from storage.health import Wanted
from storage.records import Server


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
        return f"no launcher serves queue {queue}; {start}`"
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


def queues_of(server: Server) -> list[str]:
    return list(json.loads(server.queues or '["default"]'))


def tags_of(server: Server) -> list[str]:
    return list(json.loads(server.tags or "[]"))
