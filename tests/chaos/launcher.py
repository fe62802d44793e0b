"""A real launcher as a process. Its guard is the true one, claim, or a weaker one for negative
controls: state or id; or `clock`: the true guard, with leases by the clock and zone of its host.
"""

import os
import select
import sys
import time
from typing import Any

from sqlalchemy import and_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from configs import logs
from configs.settings import load
from launcher.daemon import Daemon
from launcher.embedded import ExternalCluster
from launcher.heartbeat import Heartbeat
from storage import claims
from storage.columns import utc_now
from storage.schema import dc_batch

# Under a wrong clock libfaketime 0.9.10 lets sleep() fail unless it also stops the monotonic clock.
time.sleep = lambda seconds: select.select([], [], [], seconds)

WEAKER = {
    "state": lambda claim: and_(dc_batch.c.batch_id == claim.batch_id, dc_batch.c.state == "U"),
    "id": lambda claim: dc_batch.c.batch_id == claim.batch_id,
}


def by_this_host(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    """What a program would write that asks its host, and not the database, for the time."""
    wrong = {"+1h": 3600, "-1h": -3600}.get(os.environ.get("FAKETIME", ""), 0)
    seconds = ", ".join(compiler.process(clause, **kw) for clause in element.clauses) or "0"
    return f"(UTC_TIMESTAMP(6) + INTERVAL {wrong - time.timezone} + ({seconds}) SECOND)"


def main() -> int:
    server_id, guard, slots, *command = sys.argv[1:]
    if guard in WEAKER:
        claims.owned = WEAKER[guard]
        # Their own clock would stop most zombies before a guard is asked.
        Heartbeat.lease_left = lambda heartbeat: heartbeat._lease_seconds
    if guard == "clock":
        compiles(utc_now, "mariadb")(by_this_host)
    settings = load({})
    logs.configure(settings, server_id=server_id)
    nowhere = ExternalCluster("tcp://127.0.0.1:1")
    daemon = Daemon(settings, server_id, slots=int(slots), command=command, cluster=nowhere)
    return daemon.run()


sys.exit(main())
