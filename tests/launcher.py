"""A launcher as a process of its own, for tests that kill it: settings from the environment, the
server's id and the child's command as arguments.
"""

import os
import sys

from configs import logs
from configs.settings import load
from launcher.service.clusters import ExternalCluster
from launcher.service.daemon import Daemon
from launcher.service.profile import Profile


def main() -> int:
    settings = load({})
    server_id, slots, *command = sys.argv[1:]
    logs.configure(settings, server_id=server_id)
    daemon = Daemon(
        settings,
        Profile(server_id=server_id, slots=int(slots)),
        command=command,
        cluster=ExternalCluster("tcp://127.0.0.1:1"),
        drain="DRAIN" in os.environ,
    )
    return daemon.run()


sys.exit(main())
