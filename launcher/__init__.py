"""Processes: the daemon, its children, the Dask cluster and the command line."""
