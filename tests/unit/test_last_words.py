"""Why a process died, as its log tells."""

from launcher.host.last_words import last_words

# As a nanny writes it: what the worker died of stands before what became of the nanny.
NANNY = """\
12:00:00 - distributed.nanny - INFO -         Start Nanny at: 'tcp://127.0.0.1:1'
12:00:01 - distributed.nanny - ERROR - Failed to start process
Traceback (most recent call last):
  File "nanny.py", line 970, in run
    worker = worker_factory()
^^^^^^^^^^^
  File "cache.py", line 7, in open
    ~~~~^^^^
NotADirectoryError: [Errno 20] Not a directory: '/var/cache'
12:00:01 - distributed.nanny - INFO - Nanny at 'tcp://127.0.0.1:1' closed.
Traceback (most recent call last):
  File "nanny.py", line 970, in run
NotADirectoryError: [Errno 20] Not a directory: '/var/cache'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "core.py", line 517, in start
    raise RuntimeError("failed") from exc
RuntimeError: Nanny failed to start.
12:00:02 - distributed.dask_worker - INFO - End worker
"""


def test_the_cause_comes_first_and_each_error_once():
    assert last_words(NANNY) == (
        "NotADirectoryError: [Errno 20] Not a directory: '/var/cache' | "
        "RuntimeError: Nanny failed to start."
    )


def test_of_many_errors_the_first_and_the_last_ones_are_told():
    text = "".join(f"Traceback (most recent call last):\n  File\nE{n}: no\n" for n in range(9))

    assert last_words(text) == "E0: no | E7: no | E8: no"


def test_without_a_traceback_the_last_lines_are_told():
    assert last_words("a\nb\n\nc\n  error: no such folder  \n") == "b | c | error: no such folder"
    assert last_words("") == ""
    assert last_words("x" * 9999) == "x" * 500
