"""The process of the embedded local cluster: scheduler and workers on loopback."""

import json
import os
import select
import signal
import sys
import threading

import dask
import dask.system
from distributed import LocalCluster
from distributed.security import Security

from launcher.cluster.config import CONFIG
from pipeline.messages import private_pipes, read_line

_END_SECONDS = 3.0
_LOOK_SECONDS = 2.0


def main() -> None:
    """The embedded cluster: one line with what is wanted in, one with its address out; it ends
    with its workers when stdin does.
    """
    source, target = private_pipes()
    wanted = json.loads(read_line(source))
    # A service manager that signals every process must not take the workers from batches that
    # their launcher lets finish. A handler, unlike SIG_IGN, is not inherited by the workers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    dask.config.set(CONFIG)
    security = Security.temporary()
    n_workers = wanted["workers"] or dask.system.CPU_COUNT
    try:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=security,
            local_directory=wanted["directory"],
        )
        credentials = security.get_tls_config_for_role("client")
        answer = {
            "address": cluster.scheduler_address,
            "certificates": {
                "ca": credentials["ca_file"],
                "cert": credentials["cert"],
                "key": credentials["key"],
            },
        }
        os.write(target, json.dumps(answer).encode() + b"\n")
        _keep_up(cluster, n_workers, source)
        threading.Timer(_END_SECONDS, _end).start()
        cluster.close(timeout=_END_SECONDS)
    finally:
        _end()


def _keep_up(cluster: LocalCluster, n_workers: int, source: int) -> None:
    """Until the end of stdin, replace workers that Dask has given up: its nanny restarts one that
    dies at work, but not one that dies while it starts.
    """
    while True:
        readable, _, _ = select.select([source], [], [], _LOOK_SECONDS)
        if readable and not os.read(source, 65536):
            return
        cluster.scale(n_workers)


def _end() -> None:
    """Workers busy in a fit do not hear a polite request."""
    sys.stderr.flush()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
