"""A real launcher as a process, with a guard to weaken: claim (the true one), state or id."""

import sys

from sqlalchemy import and_

from configs import logs
from configs.settings import load
from launcher.daemon import Daemon
from launcher.embedded import ExternalCluster
from storage import claims
from storage.schema import dc_batch

WEAKER = {
    "state": lambda claim: and_(dc_batch.c.batch_id == claim.batch_id, dc_batch.c.state == "U"),
    "id": lambda claim: dc_batch.c.batch_id == claim.batch_id,
}


def main() -> int:
    server_id, guard, slots, *command = sys.argv[1:]
    if guard in WEAKER:
        claims.owned = WEAKER[guard]
    settings = load({})
    logs.configure(settings, server_id=server_id)
    nowhere = ExternalCluster("tcp://127.0.0.1:1")
    daemon = Daemon(settings, server_id, slots=int(slots), command=command, cluster=nowhere)
    return daemon.run()


sys.exit(main())
