"""One file for each command or group of commands: `deepcredit NAME` is NAME.py."""
