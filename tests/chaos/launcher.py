"""A real launcher as a process. Its guard is the true one, claim, or a weaker one for negative
controls: state or id; or `clock`: the true guard, with leases by the clock and zone of its host.
"""

import os
import sys
import time
from select import select as wait_for
from typing import Any

from sqlalchemy import and_, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from configs import logs
from configs.settings import load
from launcher.service.clusters import ExternalCluster
from launcher.service.daemon import Daemon
from launcher.service.heartbeat import Pulse
from launcher.service.profile import Profile
from storage import claims
from storage.columns import utc_now
from storage.schema import dc_batch
from storage.transitions import FINISHED, assignment

# Under a wrong clock libfaketime 0.9.10 lets sleep() fail unless it also stops the monotonic clock.
time.sleep = lambda seconds: wait_for([], [], [], seconds)

WEAKER = {
    "state": lambda number: and_(dc_batch.c.batch_id == number, dc_batch.c.state == "U"),
    "id": lambda number: dc_batch.c.batch_id == number,
}


def weaken(guard: str) -> None:
    """Let claims be held and ended by whoever names the batch."""
    weaker = WEAKER[guard](bindparam("the_batch"))
    claims.OWNED = weaker
    claims.proof = lambda claim: {"the_batch": claim.batch_id}
    claims._HOLD = select(dc_batch.c.batch_id).where(weaker).with_for_update()
    claims._FINISH = assignment(weaker, FINISHED)


def by_this_host(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    """What a program would write that asks its host, and not the database, for the time."""
    wrong = {"+1h": 3600, "-1h": -3600}.get(os.environ.get("FAKETIME", ""), 0)
    seconds = ", ".join(compiler.process(clause, **kw) for clause in element.clauses) or "0"
    return f"(UTC_TIMESTAMP(6) + INTERVAL {wrong - time.timezone} + ({seconds}) SECOND)"


def main() -> int:
    server_id, guard, slots, *command = sys.argv[1:]
    settings = load({})
    if guard in WEAKER:
        weaken(guard)
        # Their own clock would stop most zombies before a guard is asked.
        Pulse.lease_left = lambda _: settings.lease_seconds
    if guard == "clock":
        compiles(utc_now, "mariadb")(by_this_host)
    logs.configure(settings, server_id=server_id)
    nowhere = ExternalCluster("tcp://127.0.0.1:1")
    profile = Profile(server_id=server_id, slots=int(slots))
    return Daemon(settings, profile, command=command, cluster=nowhere).run()


sys.exit(main())
