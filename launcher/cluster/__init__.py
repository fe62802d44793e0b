"""Dask, and nothing else in the program imports it: launchers must stay small."""
