"""stdin, stdout and stderr of a command, whatever the shell has made of them."""

import os
import sys
from io import TextIOWrapper


def begin() -> None:
    """Where a shell has closed one of them, as by >&-, put one that takes everything: a database or
    a socket would get its number, and with it what others print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", errors="backslashreplace")
    sys.stderr = sys.stderr or os.fdopen(2, "w", errors="backslashreplace")
    if isinstance(sys.stdout, TextIOWrapper):  # letters that the locale lacks are told by number
        sys.stdout.reconfigure(errors="backslashreplace")


def end() -> None:
    """Give up what could not be written. At its end Python would try again, complain in words of
    its own, and exit with 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
