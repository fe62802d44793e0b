"""Dask, and nothing else in the program imports it: launchers must stay small."""

from launcher.cluster.connection import connect
from launcher.cluster.executor import DaskExecutor

__all__ = ["DaskExecutor", "connect"]
