"""Which launchers are at work, and what waits for want of one."""

from collections.abc import Sequence
from functools import partial

from configs.meant import some
from configs.wording import counted
from launcher.service.kept_back import remedy, what_to_do
from launcher.terminal.durations import in_utc
from launcher.terminal.findings import Finding, Found, Said, fail, ok, warn
from launcher.terminal.session import Session
from storage import attempts, servers
from storage.fleet import FLEET
from storage.kept import kept
from storage.obstacles import PAUSED_QUEUE
from storage.servers import Server

_MOST_KEPT = 3  # the next ones show once these are seen to


def hear(session: Session, server_id: str) -> Finding:
    """Whether the loop of that launcher turns, for whoever watches its process.

    Raises:
        DeepCreditError: the database cannot be asked.
    """
    found = {each.serve_server_id: each for each in session.read(servers.listing)}
    there = found.get(server_id)
    if there is None or there.identity is None or there.silent is None:
        level, text = fail(f"{server_id} does not run; start it: deepcredit launcher {server_id}")
    elif there.silent > session.settings.lease_seconds:
        level, text = fail(
            f"{server_id} has not been heard of for {there.silent} s; look at its log, or start it "
            "again"
        )
    else:
        level, text = ok(f"{server_id} was heard of {there.silent} s ago")
    return Finding(level, "launcher", text)


def launchers(session: Session) -> Found:
    waiting = session.read(partial(kept, obstacles=(PAUSED_QUEUE, *FLEET)))
    alive = session.read(servers.at_work)
    yield from map(_at_work, alive)
    names = {server.serve_server_id for server in alive}
    for server in session.read(servers.listing):
        if server.identity is not None and server.serve_server_id not in names:
            yield warn(
                f"{server.serve_server_id} on {server.host} was last heard of at "
                f"{in_utc(server.last_seen)}; look at its log and start it again, or "
                "delete its row of dc_server"
            )
    if not alive and not waiting:
        yield ok("none runs, and no batch waits")
    doubts = {what_to_do(each, alive=alive): each.batch_id for each in reversed(waiting)}
    doubts.pop(None, None)
    for why, batch_id in sorted(doubts.items(), key=lambda item: item[1])[:_MOST_KEPT]:
        yield warn(f"batch {batch_id} waits: {why}")
    if by_hand := session.read(attempts.unclaimed):
        numbers = some([*map(str, by_hand)], _MOST_KEPT)
        yield warn(
            f"nobody runs batch {numbers}: in U, but no launcher has claimed it; "
            f"`deepcredit batch rerun {by_hand[0]}` lets it wait for one"
        )


def _at_work(server: Server) -> Said:
    slots = "" if server.slots is None else f"{counted(server.slots, 'slot')}, "
    queues = _named("queue", server.queues)
    tags = _named("tag", server.tags)
    memory = "" if server.memory_mb is None else f"{server.memory_mb} MB, "
    paused = ", paused" if server.paused else ""
    said = (
        f"{server.serve_server_id} on {server.host}, {slots}{queues}, {tags}, "
        f"{memory}last seen {in_utc(server.last_seen)}{paused}"
    )
    if server.takes_none is not None:
        said += f", takes no batches now: {server.takes_none}"
    mend = remedy(server.takes_none)
    return ok(said) if mend is None else warn(f"{said}; {mend}")


def _named(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"no {what}s"
    return f"{what}{'s' if len(names) > 1 else ''} {' and '.join(names)}"
