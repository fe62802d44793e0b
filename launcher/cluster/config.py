"""Dask's settings for every process of a cluster."""

from collections.abc import Mapping
from typing import Any

CONFIG: Mapping[str, Any] = {
    # A long fit may hold the interpreter lock; that is no reason to do it again elsewhere.
    "distributed.scheduler.worker-ttl": "30 minutes",
    "distributed.scheduler.allowed-failures": 1,  # then the executor tries it alone
    "distributed.scheduler.active-memory-manager.start": False,
    # Results are small reports: what fills a worker is a fit, which spilling cannot help, and a
    # paused worker may never wake. One that nears its limit is replaced before the kernel kills.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.deploy.lost-worker-timeout": "30s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.limit": "1 hour",
    "distributed.comm.timeouts.connect": "20s",
}
