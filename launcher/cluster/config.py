"""Dask's settings for every process of a cluster."""

from collections.abc import Mapping
from typing import Any

AT_START = "launcher.host.at_start"
PRELOADED: Mapping[str, Any] = {
    "distributed": {"scheduler": {"preload": [AT_START]}, "worker": {"preload": [AT_START]}}
}
"""What Dask's processes import at their start, unless somebody has configured it otherwise."""

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
    # Every process looks at itself this often, also an idle one. By the defaults (20, 500, 100 ms)
    # a scheduler and two workers with their nannies take 9 % of a core while idle; like this, 1 %.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.comm.timeouts.connect": "20s",
}

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
"""For numerical libraries: a worker runs as many tasks as it has threads."""

OF_A_WORKER: Mapping[str, str] = {
    **ONE_THREAD,
    # Dask's 64 KB make small networks give back and ask again for memory at every step: seven
    # times the page faults. Large arrays go back at once anyway, so that a worker grows no more.
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**20),
}
"""Variables of the environment that a worker starts with."""


def environment(*, encrypted: bool = False) -> dict[str, str]:
    """The same settings for Dask's own commands, and what their workers inherit."""
    settings = dict(CONFIG)
    if encrypted:
        settings["distributed.comm.require-encryption"] = True
    ours = {
        "DASK_" + name.upper().replace(".", "__").replace("-", "_"): str(value)
        for name, value in settings.items()
    }
    return ours | dict(OF_A_WORKER)


def preloading() -> dict[str, str]:
    """PRELOADED as variables, for a process whose own ones beat these."""
    return {
        f"DASK_DISTRIBUTED__{process.upper()}__PRELOAD": str(settings["preload"])
        for process, settings in PRELOADED["distributed"].items()
    }
