"""What keeps a waiting batch from being claimed, in words that say what to do."""

from collections.abc import Mapping, Sequence
from shlex import quote

from configs.meant import meant, nearest
from storage.kept import Kept
from storage.obstacles import Name
from storage.records import Server

_WHY: Mapping[Name, str] = {
    "paused queue": "queue {kept.queue} is paused; `deepcredit queue resume {queue}`",
    "no launcher": "no launcher runs; {moved}{start}",
    "queue unserved": "no launcher serves queue {kept.queue}; {moved}{start}",
    "tag unserved": "no launcher of queue {kept.queue} has tag {kept.need_tag}; {start}",
    "all paused": (
        "every launcher for it is paused ({servers}); `deepcredit server resume {server}`"
    ),
    "queue unserved here": "queue {kept.queue} is not served here; --queue {queue} would",
    "paused here": "this server is paused; `deepcredit server resume {server}`",
    "no tag here": "this launcher lacks tag {kept.need_tag}; --tag {tag} gives it",
    "no memory here": (
        "they need more memory (need_mem_mb) than is free here; "
        "`deepcredit batch show {kept.batch_id}` says how much"
    ),
    "time": (
        "their time (run_after) is to come, the earliest at {kept.run_after:%F %T} UTC; "
        "`deepcredit batch retry {kept.batch_id}` lets batch {kept.batch_id} run at once"
    ),
    "other batch": "they wait for other batches; `deepcredit batch list` says for which",
}


def what_to_do(
    kept: Kept, *, server_id: str | None = None, alive: Sequence[Server] = ()
) -> str | None:
    """Why batches wait, and what a person does about it; None: nothing keeps them. `server_id`: of
    the launcher that says so; `alive`: if none does, those at work.
    """
    if kept.reason is None:
        return None
    queue, tag = quote(kept.queue or ""), quote(kept.need_tag or "")
    start = "start one with `deepcredit launcher SERVER_ID"
    if kept.queue != "default":
        start += f" --queue {queue}"
    if kept.need_tag is not None:
        start += f" --tag {tag}"
    suited = [each.serve_server_id for each in alive if _suits(each, kept)]
    return _WHY[kept.reason].format(
        kept=kept,
        queue=queue,
        tag=tag,
        start=f"{start}`",
        moved=_moved(kept.queue or "", alive),
        servers=", ".join(suited),
        server=quote(server_id or next(iter(suited), "SERVER_ID")),  # all may have ended since
    )


def _suits(server: Server, kept: Kept) -> bool:
    return kept.queue in (None, *server.queues) and kept.need_tag in (None, *server.tags)


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
    return sorted({queue for server in alive for queue in server.queues})


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
