"""Dask, and nothing else in the program imports it: launchers must stay small."""

from launcher.cluster.connection import connect

__all__ = ["connect"]
