"""One file for each mode of a batch; pipeline/mode.py says what is in one."""
