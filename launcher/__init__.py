"""Processes: the launcher and its children, the Dask cluster, the command line."""
