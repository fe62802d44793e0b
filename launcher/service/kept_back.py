"""What keeps a waiting batch from being claimed, in words that say what to do."""

from collections.abc import Mapping, Sequence
from shlex import quote

from configs.meant import meant, nearest
from launcher.service.verdict import CANNOT_BEGIN
from storage.kept import Kept
from storage.obstacles import Name
from storage.servers import Server

_WHY: Mapping[Name, str] = {
    "paused queue": "queue {kept.queue} is paused; `deepcredit queue resume {queue}`",
    "no launcher": "no launcher runs; {moved}{start}",
    "queue unserved": "no launcher serves queue {kept.queue}; {moved}{start}",
    "tag unserved": "no launcher of queue {kept.queue} has tag {kept.need_tag}; {start}",
    "all paused": (
        "every launcher for it is paused ({servers}); `deepcredit server resume {server}`"
    ),
    "too little memory": (
        "no launcher for it has {kept.need_mem_mb} MB of memory (need_mem_mb); {start} on a larger "
        "host, or ask for less: `UPDATE dc_batch SET need_mem_mb = ... "
        "WHERE batch_id = {kept.batch_id}`"
    ),
    "none taken": "no launcher for it takes batches now ({idle}); {remedy}",
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
_USUAL = {"queue": "'default'", "need_tag": "NULL"}
_REMEDY = {each.what: each.remedy for each in CANNOT_BEGIN.values()}


def what_to_do(
    kept: Kept, *, server_id: str | None = None, alive: Sequence[Server] = ()
) -> str | None:
    """Why batches wait, and what a person does about it; None: nothing keeps them. `server_id`: of
    the launcher that says so; `alive`: if none does, those at work.
    """
    if kept.reason is None:
        return None
    for column, usual in _USUAL.items():
        if (name := getattr(kept, column)) is not None and not name.strip():
            blank = _sql(name)
            change = f"SET {column} = {usual} WHERE {column} = {blank}"
            return f"{column} is {blank}, which names nothing; `UPDATE dc_batch {change}`"
    queue, tag = quote(kept.queue or ""), quote(kept.need_tag or "")
    start = "start one with `deepcredit launcher SERVER_ID"
    if kept.queue != "default":
        start += f" --queue {queue}"
    if kept.need_tag is not None:
        start += f" --tag {tag}"
    suited = [each for each in alive if _suits(each, kept)]
    paused = [each.serve_server_id for each in suited if each.paused]
    idle = [each for each in suited if each.takes_none and not each.paused]
    why = idle[0].takes_none if idle else None
    return _WHY[kept.reason].format(
        kept=kept,
        queue=queue,
        tag=tag,
        start=f"{start}`",
        moved=_moved(kept.queue or "", alive),
        servers=", ".join(paused),
        server=quote(server_id or next(iter(paused), "SERVER_ID")),  # all may have ended since
        idle=", ".join(f"{each.serve_server_id}: {each.takes_none}" for each in idle),
        remedy=remedy(why) or f"{start}`",
    )


def _suits(server: Server, kept: Kept) -> bool:
    return (
        kept.queue in (None, *server.queues)
        and kept.need_tag in (None, *server.tags)
        and (
            kept.need_mem_mb is None
            or server.memory_mb is None
            or kept.need_mem_mb <= server.memory_mb
        )
    )


def remedy(takes_none: str | None) -> str | None:
    """What to do about a launcher that takes no batches; None: it does, or that passes."""
    return _REMEDY.get(takes_none or "")


def unserved(queue: str, alive: Sequence[Server]) -> str | None:
    """What to say to somebody who names a queue; None: it is served, or nobody is at work."""
    served = _served(alive)
    if not alive or queue in served:
        return None
    return f"no launcher serves queue {queue}; {meant(queue, served)}served: {', '.join(served)}"


def _moved(queue: str, alive: Sequence[Server]) -> str:
    """How to move batches whose queue was mistyped; empty if no served queue has such a name."""
    near = nearest(queue, _served(alive) or ["default"])
    # A backslash lets MariaDB's texts go on after a quote, and those of SQLite end.
    if near is None or near == queue or "\\" in near + queue:
        return ""
    change = f"SET queue = {_sql(near)} WHERE queue = {_sql(queue)}"
    return f"did you mean {near}? then `UPDATE dc_batch {change}`; if not, "


def _served(alive: Sequence[Server]) -> list[str]:
    return sorted({queue for server in alive for queue in server.queues})


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
