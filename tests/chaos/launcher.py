"""A real launcher as a process. Its guard is the true one, claim, or a weaker one for negative
controls: state or id; or `clock`: the true guard, with leases by the clock and zone of its host.
"""

import select
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, literal

from configs import logs
from configs.settings import load
from launcher.daemon import Daemon
from launcher.embedded import ExternalCluster
from storage import claims, transitions
from storage.schema import dc_batch

# Under a wrong clock libfaketime 0.9.10 lets sleep() fail unless it also stops the monotonic clock.
time.sleep = lambda seconds: select.select([], [], [], seconds)

WEAKER = {
    "state": lambda claim: and_(dc_batch.c.batch_id == claim.batch_id, dc_batch.c.state == "U"),
    "id": lambda claim: dc_batch.c.batch_id == claim.batch_id,
}


def by_this_host(seconds: float = 0) -> Any:
    return literal(datetime.now() + timedelta(seconds=seconds))  # noqa: DTZ005 - the mistake shown


def main() -> int:
    server_id, guard, slots, *command = sys.argv[1:]
    if guard in WEAKER:
        claims.owned = WEAKER[guard]
    if guard == "clock":
        claims.utc_now = transitions.utc_now = by_this_host
    settings = load({})
    logs.configure(settings, server_id=server_id)
    nowhere = ExternalCluster("tcp://127.0.0.1:1")
    daemon = Daemon(settings, server_id, slots=int(slots), command=command, cluster=nowhere)
    return daemon.run()


sys.exit(main())
