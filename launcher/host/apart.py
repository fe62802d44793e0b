"""Processes that compute what is large, apart from the worker that got it to do.

Each loads the libraries of one name's calls alone. All that it took is free again when it ends,
soon after its last call, and at the latest with its worker.
"""

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any, TypeVar, cast

from launcher.host import processes, python
from launcher.host.apart_main import Call, Failure, Hung

A = TypeVar("A")
R = TypeVar("R")

_COMMAND = python.program("launcher.host.apart_main")
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # or what it prints would end with it
_LOOK_SECONDS = 0.5
_REST_SECONDS = 5.0


class Died(Exception):
    """A process ended in the middle of a call; says how."""


class Hangs(Exception):
    """A call has waited for too long without running at all; says where it stands."""


class Apart:
    """The processes of one worker, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: set[_Process] = set()
        self._idle: dict[_Process, threading.Timer] = {}

    def call(
        self,
        name: str,
        function: Callable[[A], R],
        argument: A,
        *,
        stuck_seconds: float,
        look: Callable[[int], None],
    ) -> R:
        """What a module's own function returns or raises. The process of an earlier call of the
        same name does it, if that rests; it then has its libraries already.

        `look` is called now and then with the bytes of memory that all processes here have for
        themselves. What it raises ends the process.

        Raises:
            Died, Hangs: the process has ended.
            OSError: none can be started.
        """
        process = self._begin(name, Call(function, argument, stuck_seconds))
        try:
            answer = process.answer(lambda: look(self._memory()))
        except BaseException:
            self._end(process)
            raise
        self._rest(process)
        if isinstance(answer, Failure):
            raise answer.error
        return cast(R, answer)

    def _begin(self, name: str, call: Call) -> "_Process":
        """One that rested may have died meanwhile; then a new one begins."""
        process = self._rested(name)
        if process is not None:
            with suppress(Died):
                return self._begun(process, call)
        process = _Process(name)
        with self._lock:
            self._all.add(process)
        return self._begun(process, call)

    def _begun(self, process: "_Process", call: Call) -> "_Process":
        try:
            process.begin(call)
        except BaseException:
            self._end(process)
            raise
        return process

    def _rested(self, name: str) -> "_Process | None":
        """A process of this name that rests. All others that rest end: their memory is needed."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for timer in idle.values():
            timer.cancel()
        found = next((each for each in idle if each.name == name), None)
        for each in idle.keys() - {found}:
            self._end(each)
        return found

    def _rest(self, process: "_Process") -> None:
        timer = threading.Timer(_REST_SECONDS, self._end_rested, (process,))
        timer.daemon = True
        with self._lock:
            self._idle[process] = timer
        timer.start()

    def _end_rested(self, process: "_Process") -> None:
        with self._lock:
            if self._idle.get(process) is not threading.current_thread():
                return  # it is at work again
            del self._idle[process]
        self._end(process)

    def _end(self, process: "_Process") -> None:
        process.end()
        with self._lock:
            self._all.remove(process)

    def _memory(self) -> int:
        with self._lock:
            return sum(processes.memory(each.pid).own for each in self._all)


class _Process:
    def __init__(self, name: str) -> None:
        self.name = name
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*_COMMAND, str(theirs.fileno())],
                stdin=subprocess.PIPE,  # it ends with that, and so with us
                pass_fds=(theirs.fileno(),),
                env=python.environment() | _UNBUFFERED,
            )
        self.pid = self._process.pid

    def begin(self, call: Call) -> None:
        """Returns when it is at work. Raises Died."""
        try:
            self._pipe.send(call)
        except ConnectionError as error:
            raise self._died() from error
        self._next(lambda: None)

    def answer(self, look: Callable[[], None]) -> Any:
        """What the call returned, or a Failure. Raises Died, Hangs."""
        answer = self._next(look)
        if isinstance(answer, Hung):
            raise Hangs(answer.where)
        return answer

    def _next(self, look: Callable[[], None]) -> Any:
        """Its wait wakes now and then, or we would be taken for stuck ourselves."""
        try:
            while not self._pipe.poll(_LOOK_SECONDS):
                look()
            return self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._died() from error

    def _died(self) -> Died:
        return Died(processes.how_it_ended(self._process.wait()))

    def end(self) -> None:
        self._pipe.close()
        with self._process:
            self._process.kill()
