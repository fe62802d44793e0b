"""What a process apart from a worker executes: one call after the other, until that needs no more
or is dead.
"""

import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from launcher.host.channel import exit_at_eof
from launcher.host.stuck import watched


@dataclass(frozen=True, slots=True)
class Call:
    """A module's own function, for this process to call. `stuck_seconds`: see stuck.watched."""

    function: Callable[[Any], Any]
    argument: Any
    stuck_seconds: float


@dataclass(frozen=True, slots=True)
class Begun:
    """The first answer to each call: the process is there, and the call is no longer another's."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer where the function raises."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Hung:
    """The last word of a process that hangs."""

    where: str


def main() -> None:
    """The only argument is the descriptor of the pipe to the worker."""
    # Whoever signals every process, as a terminal or a service manager, leaves it to the worker.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=exit_at_eof, args=(0,), daemon=True).start()
    sending = threading.Lock()
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError):

        def send(message: Any) -> None:
            with sending:  # a last word and an answer may come at once
                pipe.send(message)

        while True:
            call = pipe.recv()
            send(Begun())
            send(_answer(call, lambda where: send(Hung(where))))


def _answer(call: Call, tell: Callable[[str], None]) -> Any:
    try:
        with watched(call.stuck_seconds, tell):
            return call.function(call.argument)
    except BaseException as error:
        return Failure(_portable(error))


def _portable(error: BaseException) -> BaseException:
    """The error, or one that says the same where it cannot be sent, or whoever gets it would import
    a library for its class. A traceback cannot be sent, ever.
    """
    error.add_note(f"In another process:\n{traceback.format_exc()}")
    if type(error).__module__ in ("builtins", "configs.errors"):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301 - what it has just written itself
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")
